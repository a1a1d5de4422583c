"""`hneuro tune`: gains that are learned for the neurons of a finished run, and whether anything simpler does better."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hneuro.causal.perplexity import TEXT
from hneuro.codec import to_plain
from hneuro.disk import write_text, writing
from hneuro.editing.neurons import GAINS, TUNED, FinishedRun, finished_run
from hneuro.models.patch import Patch, write_patch
from hneuro.pipeline import tuning
from hneuro.pipeline.known import FRAMING
from hneuro.pipeline.run import Run
from hneuro.pipeline.tuning import Budget
from hneuro.progress import set_quiet, steps
from hneuro.records import UserError
from hneuro.report.figures.style import save
from hneuro.report.figures.tuned import LABELS, pareto
from hneuro.report.verdicts import CAUSAL_LEVEL
from hneuro.report.wording import percent_interval, points, points_interval, signed_interval
from hneuro.result_records import ResultRow, Tuned
from hneuro.store import Store

SIMPLER = ("sentence", "threshold", "threshold_at_coverage")
CONTROLS = ("tuned/random", "tuned/contribution_matched")
FEWEST = 8  # groups that all change alike: the exact test then has p = 0.0078, below CAUSAL_LEVEL


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for: `known` in percentage points, `perplexity` in per cent."""

    run_dir: Path
    known: float
    perplexity: float


def tune(wanted: Wanted) -> str:
    """Writes RUN_DIR/tuned; the same command resumes where it was killed. What was found, for people."""
    budget = Budget(known=wanted.known / 100, perplexity=wanted.perplexity / 100)
    found = finished_run(wanted.run_dir)
    set_quiet(found.experiment.quiet)
    framings = _checked(found)
    tuned, computed = _tuned(found, framings, budget)
    folder = found.folder / TUNED
    with writing("the gains", folder):
        folder.mkdir(exist_ok=True)
        _written(found, tuned, folder)
    return "\n".join([*lines(tuned), f"{folder.resolve()}: {GAINS}, tuned.json, pareto.png; {computed}"])


def _checked(found: FinishedRun) -> dict[str, str]:
    """The framing of each benchmark that the run chose; `UserError` for a run that gains cannot be learned for."""
    experiment, results = found.experiment, found.results
    if not Path(experiment.store_dir).is_dir():
        raise UserError(f"the store of the run, {experiment.store_dir}, is not there: tune where the run was made")
    here = experiment.model.chat.identity()
    if str(here) != found.weights:
        raise UserError(f"the neurons of {found.folder} are of another model: of {found.weights}, and this is {here}")
    framings = {
        row.dataset: row.condition for row in results.rows if row.stage == FRAMING and row.note.startswith("chosen")
    }
    if not framings or results.detector is None:
        raise UserError(
            f"{found.folder} put nothing under pressure: tune needs a run with benchmark=known and an alpha sweep"
        )
    return framings


def _tuned(found: FinishedRun, framings: dict[str, str], budget: Budget) -> tuple[Tuned, str]:
    assert found.results.detector is not None
    store = Store(Path(found.experiment.store_dir))
    run = Run.of(found.experiment, store)
    with steps((), store.counts):
        tuned = tuning.tune(run, framings, found.results.detector, budget, found.results.title)
    computed, loaded = store.counts()
    return tuned, f"{computed} stages computed, {loaded} loaded"


def _written(found: FinishedRun, tuned: Tuned, folder: Path) -> None:
    space = found.results.space
    assert space is not None
    note = f"tuned gains of the run {found.folder.resolve().name}"
    patch = Patch(neurons=tuned.neurons, alpha=1.0, gains=tuned.gains, space=space, weights=found.weights, note=note)
    write_patch(patch, folder / GAINS)
    write_text(folder / "tuned.json", json.dumps(to_plain(tuned), indent=1, ensure_ascii=False))
    save(pareto(tuned), folder)


def lines(tuned: Tuned) -> Iterator[str]:
    """What was found, the verdict first; points are percentage points, with 95 % intervals."""
    panels = list(dict.fromkeys(row.dataset for row in tuned.rows if row.metric == "wrong_avoided"))
    yield from verdict(tuned, panels[0])
    wrong, lost = (_of(tuned, panels[0], "tuned", metric)[0] for metric in ("wrong_avoided", "known_lost"))
    untouched = percent_interval(_of(tuned, panels[0], "untouched", "wrong")[0], 0)
    yield f"{panels[0]}: untouched, {untouched} of {wrong.n} answers under pressure are wrong; {lost.n} known facts."
    yield _perplexity(tuned)
    yield f"  {'points [95 %]':35} {'wrong avoided':22} {'unread added':22} known lost"
    for condition, label in LABELS.items():
        shown = [_shown(_of(tuned, panels[0], condition, m)) for m in ("wrong_avoided", "unread_added", "known_lost")]
        yield f"  {label:35} {shown[0]:22} {shown[1]:22} {shown[2]}"
    for panel in panels[1:]:
        best = {c: _shown(_of(tuned, panel, c, "wrong_avoided")) for c in ("tuned", "sentence")}
        count = _of(tuned, panel, "tuned", "wrong_avoided")[0].n
        yield f"{panel}, {count} prompts: avoided by tuned gains {best['tuned']}, by a sentence {best['sentence']}"


def verdict(tuned: Tuned, panel: str) -> Iterator[str]:
    """Whether something simpler does as well; what was not shown, and could have been; whether other neurons do it."""
    metrics = ("wrong_avoided", "wrong_or_unread_avoided", "known_lost")
    own, unread, paid = (_of(tuned, panel, "tuned", metric)[0] for metric in metrics)
    if set(tuned.gains) == {1.0}:
        yield "No gains lower wrong answers on the select facts within the budget: all gains are 1."
        return
    pairs = [(c, _of(tuned, panel, c, "wrong_avoided")[0], _of(tuned, panel, c, "known_lost")[0]) for c in SIMPLER]
    equals = [pair for pair in pairs if pair[1].value >= own.value > 0 and pair[2].value <= paid.value]
    if equals:
        name, there, _ = max(equals, key=lambda pair: pair[1].value)
        yield f"{LABELS[name].capitalize()} does at least as well as tuned gains: {points_interval(there)} points."
    more = ("tuned_avoids_more", "tuned_or_unread_avoids_more")
    others = [row for kind in CONTROLS for metric in more for row in _of(tuned, panel, kind, metric)]
    if not _shown_above_0(own):
        yield f"Tuned gains are not shown to avoid wrong answers; {_power(own, tuned.sizes[f'groups {panel}'])}."
        yield from _likelier(tuned, panel)
    elif not _shown_above_0(unread):
        yield (
            f"Tuned gains leave fewer wrong answers, {points_interval(own)} points, but not if answers that cannot be "
            f"read count as wrong: {points_interval(unread)}."
        )
    elif not all(map(_shown_above_0, others)):
        yield "Tuned gains avoid wrong answers, and are not shown to avoid more than the same tuning of other neurons."
    else:
        yield f"Tuned gains avoid wrong answers, {points_interval(own)} points, more than other neurons tuned alike."


def _likelier(tuned: Tuned, panel: str) -> Iterator[str]:
    """What gains may do to the probability of wrong answers, where they do nothing that can be shown to the answers."""
    (own,) = _of(tuned, panel, "tuned", "p_wrong_avoided")
    if _shown_above_0(own):
        others = [row for kind in CONTROLS for row in _of(tuned, panel, kind, "p_tuned_avoids_more")]
        more = "more" if all(map(_shown_above_0, others)) else "which is not shown to be more"
        yield f"They lower P(wrong) by {points_interval(own)} points, {more} than other neurons tuned alike do."


def _shown_above_0(row: ResultRow) -> bool:
    """By its interval and by the exact test, which few groups of prompts cannot pass."""
    return row.low is not None and row.low > 0 and row.p_value is not None and row.p_value < CAUSAL_LEVEL


def _power(row: ResultRow, groups: int) -> str:
    """What could have been seen: half of the interval, and a prompt of each of as many groups as the test needs."""
    if groups < FEWEST:
        return f"with {groups} groups of prompts, none could have been"
    assert row.low is not None
    assert row.high is not None
    return f"no effect below {100 * max((row.high - row.low) / 2, FEWEST / row.n):.0f} points could have been seen"


def _perplexity(tuned: Tuned) -> str:
    """On passages by which nothing was chosen."""
    found = _of(tuned, TEXT, "tuned", "change_perplexity")
    if not found:
        return "Perplexity was not measured: the run has too little text, or all gains are 1."
    return f"perplexity: {signed_interval(found[0], 2)} on {found[0].n} other passages."


def _of(tuned: Tuned, panel: str, condition: str, metric: str) -> list[ResultRow]:
    return [r for r in tuned.rows if (r.dataset, r.condition, r.metric) == (panel, condition, metric)]


def _shown(rows: list[ResultRow]) -> str:
    """A value with its interval; of several control sets the values."""
    return points_interval(rows[0]) if len(rows) == 1 else ", ".join(points(row.value) for row in rows)
