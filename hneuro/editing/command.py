"""`hneuro edit`: the neurons of a finished run, scaled in a checkpoint, and the edited checkpoint held against it."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hneuro.codec import from_plain, to_plain
from hneuro.disk import appearing, writing
from hneuro.editing.card import Provenance, active, as_text, card
from hneuro.editing.neurons import (
    TUNED,
    FinishedRun,
    activity_of,
    finished_run,
    patch_of_file,
    patch_of_run,
    tuned_patch,
)
from hneuro.editing.validation import original_side, validate
from hneuro.models.gguf import GgufCheckpoint, GgufSource
from hneuro.models.patch import TRACES, Patch, found_elsewhere, write_patch
from hneuro.models.sources import CheckpointSource, HubCheckpoint
from hneuro.progress import set_quiet
from hneuro.records import UserError
from hneuro.result_records import ResultRow

log = logging.getLogger(__name__)

VALIDATION = f"{TRACES}/validation.json"
GGUF = ".gguf"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for. `neurons`: the name of a set of the run, "tuned", or a file."""

    run_dir: Path | None
    alpha: float | None
    out: Path | None
    neurons: str = "h_neurons"
    model: str | None = None
    patch_only: bool = False
    validate: bool = True

    def __post_init__(self) -> None:
        listed = Path(self.neurons).is_file()
        if self.neurons == TUNED and self.alpha is not None:
            raise UserError("--neurons tuned has a gain for each neuron: leave --alpha out")
        if self.alpha is None and self.neurons != TUNED:
            raise UserError("--alpha is missing: by how much the neurons are multiplied, such as --alpha 0.5")
        if self.run_dir is None and (self.model is None or not listed or self.neurons == TUNED):
            raise UserError("a RUN_DIR is missing: a finished run, or --model with a --neurons file instead")
        if self.out is None:
            raise UserError("--out is missing: where the edited checkpoint, or the patch, goes")


def edit(wanted: Wanted) -> str:
    """Writes what is wanted; the same command resumes where it was killed. What was done, for people."""
    assert wanted.out is not None
    run = None if wanted.run_dir is None else finished_run(wanted.run_dir)
    set_quiet(run is not None and run.experiment.quiet)
    source = _source(wanted, run)
    if wanted.out.suffix == GGUF and not isinstance(source, GgufSource):
        raise UserError(
            f"{source.locate()} is not a GGUF file: write the edit to a folder, and convert that (llama.cpp's "
            "convert_hf_to_gguf.py)"
        )
    patch = _patch(wanted, run, source)
    if wanted.patch_only:
        return _patch_alone(patch, wanted.out)
    if isinstance(source, GgufSource) and wanted.out.suffix == GGUF:
        return _gguf(wanted.out, run if wanted.validate else None, source, patch)
    return _checkpoint(wanted.out, run, source, patch, wanted.validate)


def _source(wanted: Wanted, run: FinishedRun | None) -> CheckpointSource:
    """--model, or the chat model of the run; of the hub, at the commit that the run used."""
    if wanted.model is not None:
        is_gguf = wanted.model.endswith(GGUF)
        return GgufCheckpoint(path=wanted.model) if is_gguf else HubCheckpoint(path=wanted.model)
    assert run is not None
    source, (path, _, commit) = run.experiment.model.chat, run.weights.rpartition("@")
    if isinstance(source, HubCheckpoint) and path == source.path:
        return replace(source, revision=commit)
    return source


def _patch(wanted: Wanted, run: FinishedRun | None, source: CheckpointSource) -> Patch:
    """The neurons; with --model they are taken to be meant for it, whatever weights they were found on."""
    from hneuro.models.rewrite import neurons_of

    file = Path(wanted.neurons)
    if wanted.alpha is None:
        assert run is not None
        patch = tuned_patch(run)
    elif file.is_file():
        patch = patch_of_file(file, wanted.alpha, neurons_of(source), source.identity())
    else:
        assert run is not None
        patch = patch_of_run(run, wanted.neurons, wanted.alpha)
    here = source.identity() if wanted.model is not None else patch.weights
    if told := found_elsewhere(patch.weights, patch.note, here, source.locate()):
        log.warning(told)
        return replace(patch, weights=here, note=f"{patch.note}, found on other weights ({patch.weights})")
    return patch


def _patch_alone(patch: Patch, file: Path) -> str:
    if file.exists():
        raise UserError(f"{file} exists already: remove it, or choose another file")
    with writing("the patch", file.parent, instead="another --out"):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_patch(patch, file)
    return f"patch: {file.resolve()} ({patch.brief}); hneuro run ... model.patch={file} applies it"


def _checkpoint(folder: Path, run: FinishedRun | None, source: CheckpointSource, patch: Patch, validated: bool) -> str:
    from hneuro.models import rewrite

    done = rewrite.done_by(folder, patch)
    kept = source.files() / rewrite.CARD
    made = Provenance(
        source=source,
        patch=patch,
        original_card=kept.read_text("utf-8") if kept.is_file() else "",
        activity=activity_of(run, patch.neurons),
    )
    if not done:
        rewrite.edit_checkpoint(source, folder, patch, card(made, None))
    rows = _validated(run if validated else None, source, patch, folder)
    rewrite.write_card(folder, card(made, rows))
    told = [f"edited checkpoint: {folder.resolve()} ({patch.brief}, {patch.note})"]
    told.append(f"their activity before: {active(made.activity)}")
    if run is None and validated:
        told.append("It was not validated: that needs the benchmarks of a run (RUN_DIR).")
    return "\n\n".join([*told, *([] if rows is None else [as_text(rows)])])


def _gguf(file: Path, run: FinishedRun | None, source: GgufSource, patch: Patch) -> str:
    """`run`: to validate by."""
    from hneuro.models.gguf_rewrite import edit_gguf, gguf_done_by

    if not gguf_done_by(file, patch):
        edit_gguf(source, file, patch)
    told = f"edited checkpoint: {file.resolve()} ({patch.brief}, {patch.note})"
    if run is None:
        return told
    before = original_side(run.experiment, run.weights, source, patch)
    return f"{told}\n\n{as_text(validate(run.experiment, before, GgufCheckpoint(path=str(file))))}"


def _validated(
    run: FinishedRun | None, source: CheckpointSource, patch: Patch, folder: Path
) -> Sequence[ResultRow] | None:
    """The comparison, kept beside the patch; without one, what an earlier one has left there."""
    file = folder / VALIDATION
    if run is None:
        if not file.is_file():
            return None
        kept: Sequence[ResultRow] = from_plain(tuple[ResultRow, ...], json.loads(file.read_text(encoding="utf-8")))
        return kept
    before = original_side(run.experiment, run.weights, source, patch)
    rows = validate(run.experiment, before, HubCheckpoint(path=str(folder)))
    with appearing(file) as fresh:
        fresh.write_text(json.dumps(to_plain(rows), indent=1), encoding="utf-8")
    return rows
