"""What was selected, along which path, how firmly, and from how many questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from functools import partial
from statistics import fmean

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.folders import Run
from hneuro.report.table import Column, Record, Table, estimate
from hneuro.report.tables.detection import with_n
from hneuro.report.tidy import independent_mean
from hneuro.report.verdicts import corrected, discrimination
from hneuro.result_records import Estimate, NeuronRow, Overlap, ResultRow, Results

OFTEN = 0.5  # of the resamples
CONTROL = "h_neurons/random"
TWO, THREE, FOUR = (partial(say.number, digits=digits) for digits in (2, 3, 4))
SHARE = partial(say.percent, digits=0)


def neurons(compared: Compared) -> Table:
    """A row an H-Neuron."""
    return compared.table(
        "neurons",
        "The H-Neurons, heaviest weight first. Selected in: how many resamples give it a positive weight at the "
        "chosen strength. Partners: neurons of the model that its CETT correlates with, any of which L1 might have "
        "kept instead; cluster: H-Neurons that do. Own AUROC: of its CETT alone, on the n answers of the select split. "
        "Enters at: the smallest strength at which its weight is positive. Drift rank: 0 changed most from base to "
        "chat, 1 least.",
        (
            Column("rank", "rank"), Column("layer"), Column("expert"), Column("place", "layer"),
            Column("index", "index", str), Column("weight", "weight", THREE),
            Column("frequency"), Column("often", "selected in", str), Column("partners", "partners"),
            Column("cluster", "cluster"), Column("auroc", "own AUROC", THREE), Column("n", "n"),
            Column("cett_wrong", "CETT wrong", FOUR),
            Column("cett_right", "CETT right", FOUR), Column("enters_at", "enters at"),
            Column("path_share", "path share", SHARE), Column("drift_rank", "drift rank", TWO),
            Column("base_weight", "base weight", THREE),
        ),
        lambda run: (_neuron(run.found, neuron) for neuron in run.found.neurons),
    )  # fmt: skip


def _neuron(results: Results, neuron: NeuronRow) -> Record:
    entry = next((p.strength for p, w in zip(results.path, neuron.path, strict=False) if w > 0), None)
    known = {field.name: getattr(neuron, field.name) for field in fields(neuron)}
    draws = results.stability.resamples if results.stability else 0
    often = None if neuron.frequency is None else f"{neuron.frequency * draws:.0f} of {draws}"
    n = next((point.n for point in results.path if point.chosen), None)
    more = {"path_share": neuron.path_share, "enters_at": entry, "often": often, "n": n}
    return {**known, "place": say.layer(neuron), **more}


def path(compared: Compared) -> Table:
    """A row a strength: C, or the count of a ranking."""
    return compared.table(
        "path",
        "The path over the strength. Accuracy and AUROC on the select split. Known, suppressed: accuracy on known "
        "questions while the neurons of this strength are scaled by 0; like accuracy on fit without an interval.",
        (
            Column("strength", "strength"), Column("nonzero", "nonzero"), Column("positive", "positive"),
            Column("fit_accuracy", "accuracy on fit", say.percent),
            estimate("accuracy", "accuracy", say.percent_interval),
            estimate("auroc", "AUROC"), Column("n", "n"),
            Column("suppressed_accuracy", "known, suppressed", say.percent),
            Column("gap", "duality gap", "{:.0e}".format),
            Column("chosen", "chosen"),
        ),
        lambda run: (
            {**asdict(p), "accuracy": p.estimate("accuracy"), "auroc": p.estimate("auroc")} for p in run.found.path
        ),
    )  # fmt: skip


def overlaps(compared: Compared) -> Table:
    """What selections have in common that differ in their resample, strength, labeling or data set."""
    return compared.table(
        "overlaps",
        "What two selections share: Jaccard overlap of their neurons, in brackets the range over the pairs. p, of data "
        "sets alone: as many neurons drawn at random share as many (hypergeometric), corrected over the pairs (Holm). "
        "Selections from the same answers can share more than random sets do even where neither detects anything.",
        (
            Column("between", "between"), Column("first", "one"), Column("second", "other"), Column("sizes", "neurons"),
            Column("shared", "shared", "{:.3g}".format), estimate("jaccard", "Jaccard", jaccard),
            Column("pairs", "pairs"), Column("p_value"), Column("p_holm", "p (Holm)", say.p_cell),
        ),
        lambda run: _overlaps(run.found),
    )  # fmt: skip


def _overlaps(found: Results) -> Iterator[Record]:
    for one in found.stability.overlaps if found.stability else ():
        yield {**asdict(one), "jaccard": over_pairs(one), "sizes": "{:.3g} and {:.3g}".format(*one.sizes)}
    for row, p in corrected([r for r in found.rows if (r.stage, r.metric) == ("mechanism", "jaccard")]):
        pair = {"first": say.condition_name(row.dataset), "second": say.condition_name(row.stratum)}
        more = {"sizes": row.note, "shared": row.n, "p_value": row.p_value, "p_holm": p, "jaccard": row}
        yield {"between": "data sets", **pair, **more}


def over_pairs(found: Overlap) -> Estimate:
    """The mean, smallest and largest Jaccard overlap."""
    return Estimate(value=found.jaccard, low=found.low, high=found.high, n=found.pairs)


def jaccard(found: Estimate | ResultRow) -> str:
    """ "0.31 [0.11, 0.55]" over several pairs."""
    return say.number(found.value, 2) if found.low in (None, found.high) else say.with_interval(found, 2)


def funnel(compared: Compared) -> Table:
    """A row a step."""
    return compared.table(
        "funnel",
        "What entered each step, what left it, and why the rest did not.",
        (
            Column("stage", "step", say.plain), Column("dataset", "data set", say.plain), Column("unit", "unit"),
            Column("entered", "entered"), Column("left", "left"), Column("lost", "lost"), Column("note", "beware"),
        ),
        lambda run: (
            {**asdict(step), "lost": ", ".join(f"{say.plain(why)}: {n:,}" for why, n in step.lost.items())}
            for step in run.found.funnel
        ),
    )  # fmt: skip


def judges(compared: Compared) -> Table:
    """A row two judges."""
    return compared.table(
        "judges",
        "Agreement of the judges on distinct responses. Unsaid: responses that at least one of the two left unjudged.",
        (
            Column("first", "judge"), Column("second", "other judge"),
            estimate("agreement", "agreement", say.percent_interval), Column("n", "n"), Column("kappa", "kappa", TWO),
            Column("unsaid", "unsaid"),
        ),
        lambda run: ({**asdict(a), "agreement": a.agree, "n": a.agree.n} for a in run.found.agreements),
    )  # fmt: skip


def selected(compared: Compared, runs: Sequence[Run]) -> Table:
    """A row a run, those without results too: what it selected, how firmly, and what that detects."""
    return compared.table(
        "runs",
        "All runs that were found. Only those that are done are in the other tables. AUROC at home: on held-out "
        "questions of the set that the neurons were found on; elsewhere: mean over the other sets, as if independent.",
        (
            Column("state", "state"), Column("h_neurons", "H-Neurons"), Column("home"),
            estimate("auroc", "AUROC at home"), Column("n", "n"), Column("random", "random", TWO),
            Column("verdict", "verdict at home"), estimate("elsewhere", "elsewhere (mean)"),
            Column("elsewhere_random", "random elsewhere", TWO), Column("sets_elsewhere", "sets elsewhere"),
            Column("strength", "strength"), Column("per_mille", "per mille", TWO),
            estimate("select_accuracy", "accuracy (select)", with_n, count=True),
            Column("often", "in half of the resamples"), Column("jaccard", "Jaccard", TWO),
            Column("error", "error"), Column("hneuro"), Column("folder", "folder"),
        ),
        lambda run: [
            {"state": run.state, "error": run.error, "hneuro": run.version, "folder": str(run.folder),
             **(_outcome(run) if run.results else {})}
        ],
        [*compared.runs, *(run for run in runs if run.results is None)],
    )  # fmt: skip


def _outcome(run: Run) -> Record:
    results, tidy = run.found, run.tidy
    point = next((point for point in results.path if point.chosen), None)
    tested = tidy.datasets("detection", "auroc")
    own, random = ({name: tidy.one("detection", "auroc", name, c) for name in tested} for c in ("h_neurons", CONTROL))
    found, at_home = own.get(tidy.in_domain or ""), random.get(tidy.in_domain or "")
    others = {n: row for n, row in own.items() if row and n != tidy.in_domain and not say.missing(row.value)}
    of_random = [row.value for name in others if (row := random[name])]
    return {
        "strength": point and point.strength, "h_neurons": len(results.neurons), "per_mille": per_mille(results),
        "select_accuracy": point and point.estimate("accuracy"),
        "often": comes_back(results), "jaccard": of_resamples(results), "home": tidy.in_domain, "auroc": found,
        "verdict": next((v.says for v in discrimination(tidy, "detection") if v.dataset == tidy.in_domain), None),
        "n": found and found.n, "random": at_home and at_home.value,
        "elsewhere": independent_mean([*others.values()]) if others else None, "sets_elsewhere": len(others) or None,
        "elsewhere_random": fmean(of_random) if others and len(of_random) == len(others) else None,
    }  # fmt: skip


def per_mille(results: Results) -> float | None:
    """H-Neurons in a thousand FFN neurons."""
    return 1000 * len(results.neurons) / results.space.size if results.space else None


def comes_back(results: Results) -> int | None:
    """H-Neurons that at least half of the resamples select."""
    if results.stability is None:
        return None
    return sum(f.rank is not None and f.frequency >= OFTEN for f in results.stability.neurons)


def resampled(results: Results) -> Overlap | None:
    """What two resamples share, as means over their pairs."""
    found = results.stability.overlaps if results.stability else ()
    return next((one for one in found if one.between == "resamples"), None)


def of_resamples(results: Results) -> float | None:
    """The mean Jaccard overlap of two resamples."""
    pair = resampled(results)
    return None if pair is None else pair.jaccard
