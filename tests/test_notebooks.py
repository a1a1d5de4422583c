"""The notebooks run on any finished run, and are kept without outputs."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path
from typing import Any

import altair
import pytest

BOOKS = sorted((Path(__file__).parent.parent / "experiments" / "notebooks").glob("*.ipynb"))


def code(book: Path) -> list[str]:
    cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def executed(book: Path) -> dict[str, Any]:
    """What a kernel holds after all cells, and whether what it would show can be drawn."""
    held: dict[str, Any] = {}
    for cell in code(book):
        *most, last = ast.parse(cell).body
        exec(compile(ast.Module(most, []), book.name, "exec"), held)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), book.name, "eval"), held)
            if isinstance(shown, altair.TopLevelMixin):
                shown.save(io.StringIO(), format="svg")
        else:
            exec(compile(ast.Module([last], []), book.name, "exec"), held)
    return held


@pytest.fixture(scope="module")
def root(finished: Path) -> Path:
    """A clone in which `scripts/demo` and `scripts/demo seed=2` have finished."""
    (finished / "experiments" / "notebooks").mkdir(parents=True, exist_ok=True)
    return finished


@pytest.fixture
def runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Its two runs; code runs where a kernel does, in the folder of the notebooks."""
    monkeypatch.chdir(root / "experiments" / "notebooks")
    for name in ("HNEURO_RUN_DIR", "HNEURO_OTHER_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    return sorted(file.parent for file in root.glob("outputs/demo/*/results.json"))


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_notebook_runs_on_the_demo_or_on_the_run_that_is_named(
    book: Path, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = executed(book)
    assert Path(held["run_dir"]).samefile(runs[0])
    monkeypatch.setenv("HNEURO_RUN_DIR", str(runs[1]))
    monkeypatch.setenv("HNEURO_OTHER_RUN_DIR", str(runs[0]))
    exec(code(book)[0], held)
    assert Path(held["run_dir"]).samefile(runs[1])


def test_steering_leaves_the_model_alone_at_alpha_1_and_takes_other_neurons_beside(runs: list[Path]) -> None:
    held = executed(BOOKS[2])
    answers, (own, others) = held["answers"], held["sets"].values()
    assert answers.loc["H-Neurons", 1].equals(answers.loc["random", 1])
    assert not answers.loc["H-Neurons", 0].equals(answers.loc["H-Neurons", 1])
    assert len(own) == len(set(others) - set(own))
    assert {"h_neurons", "h_neurons/random"} <= set(held["changes"].condition)


def test_two_runs_are_compared_by_place_and_one_is_not_enough(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = executed(BOOKS[3])
    assert held["jaccard"] == len(held["shared"]) / len(held["one"] | held["other"])
    assert held["other_dir"].samefile(runs[1])
    assert set(held["side_by_side"].loc["file"].index) == {"h_neurons", "h_neurons/random", "logprob"}
    assert held["side_by_side"].notna().all(axis=None)
    monkeypatch.setenv("HNEURO_OTHER_RUN_DIR", str(runs[0]))
    with pytest.raises(SystemExit, match="scripts/demo seed=2"):
        executed(BOOKS[3])


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_notebook_is_kept_small_and_without_outputs(book: Path) -> None:
    text = book.read_text(encoding="utf-8")
    kept = json.loads(text)
    assert text == json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    assert 5 <= len(kept["cells"]) <= 9
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in kept["cells"] if c["cell_type"] == "code")
