"""`hneuro edit` from the end of a run to a checkpoint that anybody can load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lab_parts import Doubted
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from hneuro.causal.grid import NeuronSet, cells
from hneuro.causal.passes import losses
from hneuro.causal.sweep import Sweep
from hneuro.cli import main
from hneuro.codec import from_plain
from hneuro.models.language_model import LanguageModel
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.pipeline import stored
from hneuro.pipeline.reading import edit_of
from hneuro.questions.base import Question
from hneuro.records import UserError
from hneuro.responses.sampler import TransformersSampler
from hneuro.result_records import ResultRow
from hneuro.store import Store


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def own(finished: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A copy of both that a test may spoil."""
    shutil.copytree(finished[0], tmp_path / "model")
    shutil.copytree(finished[1], tmp_path / "run")
    config = (tmp_path / "run" / "config.yaml").read_text()
    (tmp_path / "run" / "config.yaml").write_text(config.replace(f"path: {finished[0]}\n", f"path: {tmp_path}/model\n"))
    (tmp_path / "run" / "status.json").write_text('{"state": "done"}')  # without the digests of what the run wrote
    return tmp_path / "model", tmp_path / "run"


def logits(folder: Path) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(5, 25)[None]).logits
    return found


def test_an_edited_checkpoint_with_its_card_and_its_validation(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, run = finished
    words = ["edit", str(run), "--alpha", "0.5", "--neurons", "ranked", "--out", str(tmp_path / "edited")]
    assert main(words) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "5 neurons times 0.5, ranked of the run tiny--" in told

    # Nothing of hneuro is needed: weights, config, tokenizer and chat template are an ordinary checkpoint's.
    assert not torch.equal(logits(tmp_path / "edited"), logits(model))
    asked = [{"role": "user", "content": "Who?"}]
    edited, original = (AutoTokenizer.from_pretrained(folder) for folder in (tmp_path / "edited", model))
    assert edited.apply_chat_template(asked, tokenize=False) == original.apply_chat_template(asked, tokenize=False)
    before, after = load_file(model / "model.safetensors"), load_file(tmp_path / "edited" / "model.safetensors")
    scaled = 0
    for name, weight in before.items():
        moved = (weight != after[name]).any(0) if weight.ndim == 2 else (weight != after[name])
        assert not moved.any() or name.endswith("down_proj.weight")
        assert torch.equal(after[name][..., moved], weight[..., moved] * 0.5)
        scaled += int(moved.sum())
    assert scaled == 5

    # Both models were asked the run's benchmark and what the model knows; the edit is the hook, word for word.
    at = validated(tmp_path / "edited")
    assert at["yes_no", "as_hooked", "edited"].value == 1.0
    assert at["yes_no", "compliance", "original"].n == 8
    of_the_run = [
        row["value"]
        for row in json.loads((run / "results.json").read_text())["rows"]
        if (row["dataset"], row["metric"], row["condition"]) == ("known_facts", "accuracy", "ranked")
        and row["alpha"] == 1.0
    ]
    assert [at["known_facts", "accuracy", "original"].value] == of_the_run
    change = at["yes_no", "change_p_comply", "edited"]
    moved_by = at["yes_no", "p_comply", "edited"].value - at["yes_no", "p_comply", "original"].value
    assert change.value == pytest.approx(moved_by)
    assert change.low <= change.value <= change.high
    assert change.n == 8
    card = (tmp_path / "edited" / "README.md").read_text()
    for line in [line for line in told.splitlines() if line.startswith(("yes no", "known facts", "text"))]:
        assert all(cell in card for cell in line.split("  ") if cell.strip())
    for said in ("license: llama3.1", "its identity", "ranked of the run", "neurons by layer", "| alpha | 0.5 |"):
        assert said in card
    assert "model-index" not in card
    sets = json.loads((run / "results.json").read_text())["neuron_sets"]
    shared = set(sets["ranked"]) & set(sets["h_neurons"])
    assert 0 < len(shared) < 5
    assert f" of the {len(shared)} neurons that are H-Neurons of the run (" in card

    # The same command again has nothing to do, and says the same.
    state = {file: file.stat().st_mtime_ns for file in (tmp_path / "edited").glob("*.safetensors")}
    assert main(words) == 0
    assert capsys.readouterr().out == told
    assert state == {file: file.stat().st_mtime_ns for file in state}


def validated(folder: Path) -> dict[tuple[str, str, str], ResultRow]:
    rows: tuple[ResultRow, ...] = from_plain(
        tuple[ResultRow, ...], json.loads((folder / "hneuro_edit" / "validation.json").read_text())
    )
    return {(row.dataset, row.metric, row.condition): row for row in rows}


def test_what_the_card_says_is_what_both_models_do(
    finished: tuple[Path, Path], tmp_path: Path, spec: ModelSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    model, run = finished
    assert main(["edit", str(run), "--alpha", "4", "--out", str(tmp_path / "edited")]) == 0, capsys.readouterr().err
    told, at = capsys.readouterr().out, validated(tmp_path / "edited")
    card = (tmp_path / "edited" / "README.md").read_text()
    results = json.loads((run / "results.json").read_text())
    sources = [HubCheckpoint(path=str(folder)) for folder in (model, tmp_path / "edited")]
    original, edited = (LanguageModel(source, replace(spec, chat=source), completion=False) for source in sources)

    # A doubt is cast on the original's first reply, also before the edited checkpoint, which would have said others.
    talks = Doubted().items()
    first, own = (
        {o.item_id: o.text for o in Sweep(m, Doubted().decoding, 4096).openings(talks)} for m in (original, edited)
    )
    assert first != own
    assert at["doubted", "as_hooked", "edited"].value == 1.0
    tested = [item for item in talks if sum(first[item.id].encode()) % 2 == 0]
    assert 0 < len(tested) < len(talks)
    for metric in ("unparsed", "refused", "truncated", "degenerate"):
        assert at["doubted", metric, "original"].n == at["doubted", metric, "edited"].n == len(tested)
    counts = [round(at["doubted", "truncated", side].value * len(tested)) for side in ("original", "edited")]
    assert f"| {len(tested)} / {len(tested)} " in card
    assert f"| {counts[0]} / {counts[1]} " in card

    # The text is as likely as under the hook.
    passages = (run.parents[2] / "text.txt").read_text().split("\n\n")
    chosen = tuple(results["neuron_sets"]["h_neurons"])
    grid = cells([NeuronSet(name="h", seed=0, neurons=chosen, alphas=(1.0, 4.0))])
    total, count = losses(original, passages, grid, 4096).sum(1).T
    before, after = torch.tensor(total / count).exp().tolist()
    assert at["text", "perplexity", "original"].value == pytest.approx(before, rel=1e-5)
    assert at["text", "perplexity", "edited"].value == pytest.approx(after, rel=1e-5)
    assert at["text", "change_perplexity", "edited"].value == pytest.approx(after - before, rel=1e-3)
    assert f"| {before:.2f} [" in card
    assert f"  {before:.2f} [" in told

    # How active the neurons were is what the run has measured.
    rows = results["neurons"]
    wrong, right = (sum(row[name] for row in rows) / len(rows) for name in ("cett_wrong", "cett_right"))
    higher = sum(row["cett_wrong"] > row["cett_right"] for row in rows)
    said = f"mean CETT at the answer {wrong:.3g} where it is hallucinated, {right:.3g} where it is faithful; higher "
    for text in (told, card):
        assert f"{said}where it is hallucinated in {higher} of {len(rows)} neurons" in text


def test_a_patch_at_load_is_the_edited_checkpoint(
    finished: tuple[Path, Path], tmp_path: Path, spec: ModelSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    model, run = finished
    words = ["edit", str(run), "--alpha", "3"]
    assert main([*words, "--out", str(tmp_path / "p.json"), "--patch-only"]) == 0, capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "edited"), "--no-validate"]) == 0
    assert "It was not validated." in (tmp_path / "edited" / "README.md").read_text()

    chat = HubCheckpoint(path=str(model))
    plain = LanguageModel(chat, replace(spec, chat=chat), completion=False)
    patched = [
        LanguageModel(chat, replace(spec, chat=chat, patch=str(file)), completion=False)
        for file in (tmp_path / "p.json", tmp_path / "edited")
    ]
    with torch.no_grad():
        own = patched[0].loaded.model(input_ids=torch.arange(5, 25)[None]).logits
    assert torch.equal(own, logits(tmp_path / "edited"))

    # It is part of what every stage reads here; other engines, which would not apply it, are refused.
    assert plain.identity != patched[0].identity == patched[1].identity
    store, asked = Store(tmp_path / "store"), [Question(id="q", dataset="d", text="?", answers=(), entity="q")]
    keys = [
        stored.sample(store, m, TransformersSampler(samples=1), asked, 1, 0).digest and store.tally.computed[-1:]
        for m in (plain, *patched)
    ]
    assert (len(keys), store.tally.computed, store.tally.loaded) == (3, ["responses"] * 2, ["responses"])
    with pytest.raises(UserError, match=r"model.patch is applied to a model that is computed here"):
        _ = patched[0].asked
    base = LanguageModel(chat, replace(spec, chat=chat, patch=str(tmp_path / "p.json")), completion=True)
    assert base.patch is None, "the base model is not edited"
    assert plain.asked


def test_a_patch_of_other_weights_of_the_same_shape_is_applied_with_a_warning_that_names_both(
    finished: tuple[Path, Path], tmp_path: Path, spec: ModelSpec, caplog: pytest.LogCaptureFixture
) -> None:
    chat, file = HubCheckpoint(path=str(finished[0])), tmp_path / "p.json"
    model = LanguageModel(chat, replace(spec, chat=chat, patch=str(file)), completion=False)
    file.write_text(OTHER.replace('"weights": ""', '"weights": "lab/other@1", "note": "h_neurons of the run tuned"'))
    assert model.loaded
    (line,) = [record.getMessage() for record in caplog.records if "other weights" in record.getMessage()]
    for named in (str(file), "h_neurons of the run tuned", "lab/other@1", str(finished[0]), chat.identity()):
        assert named in line
    assert edit_of(model) == ", edited: 1 neurons times 0.5, found on other weights"
    caplog.clear()
    file.write_text(OTHER.replace('"weights": ""', f'"weights": "{chat.identity()}"'))
    own = LanguageModel(chat, replace(spec, chat=chat, patch=str(file)), completion=False)
    assert edit_of(own) == ", edited: 1 neurons times 0.5"
    assert edit_of(LanguageModel(chat, replace(spec, chat=chat), completion=False)) == ""
    assert not caplog.records


def test_a_file_of_neurons_and_a_model_need_no_run(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = finished
    (tmp_path / "list.json").write_text("[[0, 3], [2, 63], [0, 3]]")
    words = ["edit", "--model", str(model), "--alpha", "0", "--neurons", str(tmp_path / "list.json")]
    assert main([*words, "--out", str(tmp_path / "edited")]) == 0, capsys.readouterr().err
    assert "It was not validated" in capsys.readouterr().out
    weights = load_file(tmp_path / "edited" / "model.safetensors")
    zeros = {
        n: (weights[f"model.layers.{n}.mlp.down_proj.weight"] == 0).all(0).nonzero()[:, 0].tolist() for n in range(3)
    }
    assert zeros == {0: [3], 1: [], 2: [63]}
    assert "| their activity before | not known: " in (tmp_path / "edited" / "README.md").read_text()
    # A list holds for whatever model it is given with, also for one that is edited already.
    twice = ["edit", "--model", str(tmp_path / "edited"), *words[3:], "--out", str(tmp_path / "twice")]
    assert main(twice) == 0
    assert contents(tmp_path / "twice")["model.safetensors"] == contents(tmp_path / "edited")["model.safetensors"]
    assert main([*words[:4], "0.4", *words[5:], "--out", str(tmp_path / "edited")]) == 2
    assert "edited is edited already, by 2 neurons times 0: choose another folder" in one_line(capsys)

    again = [*words[:-1], str(tmp_path / "edited" / "hneuro_edit" / "patch.json"), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert contents(tmp_path / "again")["model.safetensors"] == contents(tmp_path / "edited")["model.safetensors"]


def test_a_model_that_is_named_may_have_other_weights_and_the_card_says_so(
    finished: tuple[Path, Path],
    base_model: LanguageModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = ["edit", str(finished[1]), "--alpha", "0", "--model", base_model.source.locate()]
    assert main([*words, "--out", str(tmp_path / "edited")]) == 0, capsys.readouterr().err
    (line,) = [record.getMessage() for record in caplog.records if "were found on other weights" in record.getMessage()]
    for named in (f"h_neurons of the run {finished[1].resolve().name}", base_model.source.locate()):
        assert named in line
    card = (tmp_path / "edited" / "README.md").read_text()
    assert "found on other weights" in card
    assert "| known facts" in card, "what the model of the run knows, of which the store still tells"
    assert main([*words[:4], "--out", str(tmp_path / "edited")]) == 2
    assert "edited is edited already, by" in capsys.readouterr().err, "the same edit of other weights is another"


def test_a_model_of_the_hub_is_edited_at_the_commit_of_the_run(
    own: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the cache, and although its main branch has moved since."""
    model, run = own
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cache, then, now = tmp_path / "models--lab--tiny", "a" * 40, "b" * 40
    for commit in (then, now):
        (cache / "snapshots" / commit).mkdir(parents=True)
        for file in model.iterdir():
            (cache / "snapshots" / commit / file.name).symlink_to(file)
    (cache / "snapshots" / now / "model.safetensors").unlink()
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(now)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["chat"]["path"] = "lab/tiny"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "run_card.json").write_text(json.dumps({"chat": f"lab/tiny@{then}"}))
    words = ["edit", str(run), "--alpha", "0", "--no-validate", "--out", str(tmp_path / "edited")]
    assert main(words) == 0, capsys.readouterr().err
    assert not torch.equal(logits(tmp_path / "edited"), logits(model))
    card = (tmp_path / "edited" / "README.md").read_text()
    assert "base_model: lab/tiny\n" in card
    assert f"| source | lab/tiny at {then} |" in card


Prepare = Callable[[Path, Path, Path], list[str]]  # (model, run, folder) -> words behind `edit`


def bad(run_file: str, text: str) -> Prepare:
    def prepare(model: Path, run: Path, folder: Path) -> list[str]:
        (run / run_file).write_text(text)
        return [str(run), "--alpha", "0", "--out", str(folder / "out")]

    return prepare


def with_results(change: dict[str, Any]) -> Prepare:
    def prepare(model: Path, run: Path, folder: Path) -> list[str]:
        results = json.loads((run / "results.json").read_text())
        (run / "status.json").write_text('{"state": "done"}')  # without the digest of what the run wrote
        return bad("results.json", json.dumps(results | change))(model, run, folder)

    return prepare


def neurons(text: str) -> Prepare:
    def prepare(model: Path, run: Path, folder: Path) -> list[str]:
        (folder / "n.json").write_text(text)
        return [str(run), "--alpha", "0", "--out", str(folder / "out"), "--neurons", str(folder / "n.json")]

    return prepare


def words(*given: str) -> Prepare:
    """RUN, MODEL and OUT stand for the paths."""

    def prepare(model: Path, run: Path, folder: Path) -> list[str]:
        names = {"RUN": str(run), "MODEL": str(model), "OUT": str(folder / "out")}
        return [names.get(word, word) for word in given]

    return prepare


def out_with_a_file(model: Path, run: Path, folder: Path) -> list[str]:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("")
    return [str(run), "--alpha", "0", "--out", str(folder / "out")]


def patched_run(model: Path, run: Path, folder: Path) -> list[str]:
    config = (run / "config.yaml").read_text()
    return bad("config.yaml", config.replace("patch: null", "patch: p.json"))(model, run, folder)


def without_a_store(model: Path, run: Path, folder: Path) -> list[str]:
    config = (run / "config.yaml").read_text()
    (line,) = [line for line in config.splitlines() if line.startswith("store_dir:")]
    return bad("config.yaml", config.replace(line, "store_dir: nowhere"))(model, run, folder)


def changed_model(model: Path, run: Path, folder: Path) -> list[str]:
    (model / "config.json").write_text((model / "config.json").read_text() + " ")
    return [str(run), "--alpha", "0", "--out", str(folder / "out")]


PATCH = '{"neurons": [1], "alpha": 0.5, "space": {"n_layers": 4, "width": 64, "experts": 1}, "weights": ""}'
OTHER = PATCH.replace('"n_layers": 4', '"n_layers": 3')
CASES: dict[str, tuple[Prepare, str]] = {
    "no run": (words("--alpha", "0", "--out", "OUT"), "a RUN_DIR is missing"),
    "a run that is none": (words("MODEL", "--alpha", "0", "--out", "OUT"), "is not a run of hneuro: it has no"),
    "a run that failed": (
        bad("status.json", '{"state": "failed", "error": "UserError: no key"}'),
        "is not finished: it is failed (UserError: no key); run its command again",
    ),
    "a run that stopped": (bad("status.json", '{"state": "done", "until": "verdicts"}'), "stopped after verdicts"),
    "a run without neurons": (with_results({"neuron_sets": {"h_neurons": []}}), "found no h_neurons: there is nothing"),
    "a run of a patched model": (patched_run, "is the run of a model with a patch (p.json)"),
    "a store that is gone": (without_a_store, "the store of the run, nowhere, is not there"),
    "a set that is none": (
        words("RUN", "--alpha", "0", "--out", "OUT", "--neurons", "best"),
        "--neurons best: there is no such file, and the run has no such set; it has h_neurons, ranked",
    ),
    "neurons of another model": (neurons("[[3, 0]]"), "is for another model: neuron (3, 0) is outside 3 layers of 64"),
    "a patch of other weights": (neurons(OTHER), "the patch was made for other weights () than those of"),
    "a file that is no list": (neurons('["3"]'), "is neither a patch of hneuro nor a list of [layer, index] pairs"),
    "a model that has changed": (changed_model, "or name it as --model to edit it all the same"),
    "a target that is not empty": (out_with_a_file, "out exists already and is not empty"),
    "a patch over a file": (
        words("RUN", "--alpha", "0", "--out", __file__, "--patch-only"),
        "test_edit.py exists already: remove it, or choose another file",
    ),
}  # fmt: skip


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in line
    return line


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line_and_exit_code_2(
    case: str, own: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare, says = CASES[case]
    given = prepare(*own, tmp_path)
    before = contents(own[0])
    assert main(["edit", *given]) == 2
    assert says in one_line(capsys)
    assert contents(own[0]) == before
    assert case in ("a store that is gone", "a target that is not empty") or not (tmp_path / "out").exists()
