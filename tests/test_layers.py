"""The rules of the floor plan, read from the source: who may import whom, and what is done in one place only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hneuro

ROOT = Path(hneuro.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# Every module or package of hneuro may import itself and what is named before it; the stages come as the data walks.
LAYERS = """
records neurons result_records progress significance statistics disk states codec making endpoint store stage
models questions responses verdicts spans contributions probe detection causal origin
report tracking experiment pipeline config_faults config hydra_keys provenance api detector_files detector
serve runs sweeps summary editing commands cli __main__
"""
ORDER = LAYERS.split()
STAGES = ORDER[ORDER.index("questions") : ORDER.index("report")]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def part_of(file: Path) -> str:
    """The first folder or module below hneuro/ that a file belongs to."""
    return file.relative_to(ROOT).with_suffix("").parts[0]


@cache
def nodes(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def imports(file: Path) -> Iterator[str]:
    """Dotted names of everything that a file imports, at its top or later, also for types alone."""
    for node in nodes(file):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)}: relative import"
            # `from hneuro import causal` names a part, `from hneuro.causal import sweep` lies in one.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_imported(file: Path) -> set[str]:
    found = {name.split(".")[1] for name in imports(file) if name.startswith("hneuro.")}
    return found - {"__version__"}


def importers_of(*packages: str) -> set[str]:
    return {name_of(f) for f in FILES if {name.partition(".")[0] for name in imports(f)} & set(packages)}


def calls_of(*names: str) -> set[str]:
    """Files that mention one of these as an attribute or a name."""
    mentioned = {
        f: {
            n.attr if isinstance(n, ast.Attribute) else n.id
            for n in nodes(f)
            if isinstance(n, ast.Attribute | ast.Name)
        }
        for f in FILES
    }
    return {name_of(f) for f, said in mentioned.items() if any(mark in name for mark in names for name in said)}


def test_every_part_has_its_place_in_the_order() -> None:
    assert {part_of(f) for f in FILES} - {"__init__"} <= set(ORDER)


def test_nothing_imports_what_comes_later() -> None:
    allowed = {part: set(ORDER[: n + 1]) for n, part in enumerate(ORDER)} | {"__init__": {"api", "detector"}}
    later = {name_of(file): parts_imported(file) - allowed[part_of(file)] for file in FILES}
    assert not {file: parts for file, parts in later.items() if parts}


def test_stages_know_nothing_of_the_store() -> None:
    """A stage is a plain function from records to records: what is kept, and where, is decided above it."""
    assert not [name_of(f) for f in FILES if part_of(f) in STAGES and parts_imported(f) & {"store", "codec"}]


def test_only_the_edges_know_hydra() -> None:
    sweeps = {f"sweeps/{name}.py" for name in ("grid", "cell")}
    assert importers_of("hydra", "omegaconf") == {
        "config.py",
        "config_faults.py",
        "hydra_keys.py",
        "commands/run.py",
        "commands/configs.py",
        *sweeps,
    }


def test_only_tracking_knows_wandb() -> None:
    assert importers_of("wandb") == {"tracking.py"}


def test_only_the_endpoint_knows_openai() -> None:
    assert importers_of("openai", "httpx") == {"endpoint/client.py"}
    assert importers_of("sqlite3") == {"endpoint/client.py", "serve/queue.py"}


def test_only_one_module_registers_hooks() -> None:
    assert calls_of("register_forward", "register_full_backward", "register_hook") == {"models/hooks.py"}


def test_nothing_is_pickled_and_no_code_comes_with_weights() -> None:
    assert importers_of("pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal") == set()
    for file in FILES:
        for node in nodes(file):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}, name_of(file)
            if isinstance(node, ast.keyword):
                said = isinstance(node.value, ast.Constant) and node.value.value is False
                assert said or node.arg not in {"allow_pickle", "trust_remote_code"}, name_of(file)


def test_the_command_line_answers_without_the_heavy_libraries() -> None:
    """`hneuro --help` within a second: torch alone takes longer to import."""
    heavy = ("torch", "transformers", "sklearn", "scipy", "pandas", "altair", "datasets", "wandb")
    assert loaded_with("hneuro.cli", *heavy) == []


def test_a_config_is_checked_and_cells_are_launched_without_the_heavy_libraries() -> None:
    """What is wrong with a part is said at once, and whoever waits for the cells of a sweep needs no memory for it."""
    submodules = tuple(f"scipy.{name}" for name in ("stats", "optimize", "linalg", "special", "sparse"))
    heavy = ("torch", "transformers", "sklearn", *submodules, "pandas", "altair", "datasets", "wandb")
    assert loaded_with("hneuro.experiment, hneuro.sweeps.grid", *heavy) == []


def loaded_with(modules: str, *heavy: str) -> list[str]:
    """Which of the heavy ones are there when `modules` have been imported."""
    code = f"import sys, {modules}; print(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()
