"""What was selected, along which path, how firmly, and from how many questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from statistics import fmean

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.folders import Run
from hneuro.report.table import Record, Table, column, estimate
from hneuro.report.verdicts import corrected
from hneuro.result_records import Estimate, NeuronRow, Overlap, PathPoint, ResultRow, Results

OFTEN = 0.5  # of the resamples
VERDICTS = ("correct", "wrong", "refused", "unjudged")  # the order of `Agreement.confusion`


def neurons(compared: Compared) -> Table:
    """A row an H-Neuron."""
    rare = [
        column(name, name.replace("_", " "), digits) for name, digits in (("drift_rank", two), ("base_weight", three))
    ]
    return compared.table(
        "neurons",
        "The H-Neurons, heaviest weight first. Selected in: share of the resamples that give it a positive weight at "
        "the chosen strength. Partners: neurons of the model that its CETT correlates with, any of which L1 might have "
        "kept instead; cluster: H-Neurons that do. Own AUROC: of its CETT alone, on the select split. Enters at: the "
        "smallest strength at which its weight is positive. Drift rank: 0 changed most from base to chat, 1 least.",
        (
            column("rank", "rank"), column("layer"), column("expert"), column("place", "layer"),
            column("index", "index", str), column("weight", "weight", three),
            column("frequency", "selected in", share), column("partners", "partners"), column("cluster", "cluster"),
            column("auroc", "own AUROC", three), column("cett_wrong", "CETT wrong", four),
            column("cett_right", "CETT right", four), column("enters_at", "enters at"),
            column("path_share", "path share", share), *rare,
        ),
        ((run, _neuron(run.found, neuron)) for run in compared.runs for neuron in run.found.neurons),
    )  # fmt: skip


def _neuron(results: Results, neuron: NeuronRow) -> Record:
    entry = next((p.strength for p, w in zip(results.path, neuron.path, strict=False) if w > 0), None)
    known = {field.name: getattr(neuron, field.name) for field in fields(neuron)}
    return {**known, "place": say.layer(neuron), "path_share": neuron.path_share, "enters_at": entry}


def path(compared: Compared) -> Table:
    """A row a strength: C, or the count of a ranking."""
    return compared.table(
        "path",
        "The path over the strength. Accuracy and AUROC on the select split. Known, suppressed: accuracy on known "
        "questions while the neurons of this strength are scaled by 0.",
        (
            column("strength", "strength"), column("nonzero", "nonzero"), column("positive", "positive"),
            column("fit_accuracy", "accuracy on fit", say.percent),
            estimate("accuracy", "accuracy", say.percent_interval),
            estimate("auroc", "AUROC"), column("n", "n"),
            column("suppressed_accuracy", "known, suppressed", say.percent),
            column("gap", "duality gap", lambda gap: say.MISSING if gap is None else f"{gap:.0e}"),
            column("chosen", "chosen", say.text),
        ),
        ((run, _point(point)) for run in compared.runs for point in run.found.path),
    )  # fmt: skip


def _point(point: PathPoint) -> Record:
    return {**asdict(point), "accuracy": point.estimate("accuracy"), "auroc": point.estimate("auroc")}


def overlaps(compared: Compared) -> Table:
    """What selections have in common that differ in their resample, strength, labeling or data set."""
    records: list[tuple[Run, Record]] = []
    for run in compared.runs:
        found = run.found.stability.overlaps if run.found.stability else ()
        records += [
            (run, {**asdict(one), "jaccard": over_pairs(one), "sizes": "{:.3g} and {:.3g}".format(*one.sizes)})
            for one in found
        ]
        sets = [r for r in run.found.rows if (r.stage, r.metric) == ("mechanism", "jaccard")]
        for row, p in corrected(sets):
            pair = {"first": say.condition_name(row.dataset), "second": say.condition_name(row.stratum)}
            more = {"sizes": row.note, "shared": row.n, "p_value": row.p_value, "p_holm": p}
            records.append((run, {"between": "data sets", **pair, **more, "jaccard": row}))
    return compared.table(
        "overlaps",
        "What two selections share: Jaccard overlap of their neurons, in brackets the range over the pairs. p, of data "
        "sets alone: as many neurons drawn at random share as many (hypergeometric), corrected over the pairs (Holm). "
        "Two selections from the same answers share more than random sets, whatever they are worth.",
        (
            column("between", "between"), column("first", "one"), column("second", "other"), column("sizes", "neurons"),
            column("shared", "shared", lambda shared: f"{shared:.3g}"), estimate("jaccard", "Jaccard", jaccard),
            column("pairs", "pairs"), column("p_value"), column("p_holm", "p (Holm)", say.p_cell),
        ),
        records,
    )  # fmt: skip


def over_pairs(found: Overlap) -> Estimate:
    """The mean, smallest and largest Jaccard overlap."""
    return Estimate(value=found.jaccard, low=found.low, high=found.high, n=found.pairs)


def jaccard(found: Estimate | ResultRow) -> str:
    """ "0.31 [0.11, 0.55]" over several pairs."""
    return say.number(found.value, 2) if found.low in (None, found.high) else say.with_interval(found, 2)


def funnel(compared: Compared) -> Table:
    """A row a step."""
    steps = ((run, step) for run in compared.runs for step in run.found.funnel)
    return compared.table(
        "funnel",
        "What entered each step, what left it, and why the rest did not.",
        (
            column("stage", "step", say.plain), column("dataset", "data set", say.plain), column("unit", "unit"),
            column("entered", "entered"), column("left", "left"), column("lost", "lost"), column("note", "beware"),
        ),
        (
            (run, {**asdict(step), "lost": ", ".join(f"{say.plain(why)}: {n:,}" for why, n in step.lost.items())})
            for run, step in steps
        ),
    )  # fmt: skip


def judges(compared: Compared) -> Table:
    """A row two judges; the counts of their verdicts are in the CSV."""
    counts = {(a, b): f"{one}_{other}" for a, one in enumerate(VERDICTS) for b, other in enumerate(VERDICTS)}
    return compared.table(
        "judges",
        "Agreement of the judges on distinct responses; one of which either could not say anything is unsaid. The CSV "
        "counts their verdicts: correct_wrong is correct to the first, wrong to the second.",
        (
            column("first", "judge"), column("second", "other judge"),
            estimate("agreement", "agreement", say.percent_interval), column("n", "n"), column("kappa", "kappa", two),
            column("unsaid", "unsaid"), *(column(name) for name in counts.values()),
        ),
        (
            (
                run,
                {
                    **asdict(a), "agreement": a.agree, "n": a.agree.n,
                    **{name: a.confusion[one][other] for (one, other), name in counts.items()},
                },
            )
            for run in compared.runs
            for a in run.found.agreements
        ),
    )  # fmt: skip


def selected(compared: Compared, runs: Sequence[Run]) -> Table:
    """A row a run, those without results too: what it selected, how firmly, and what that detects."""
    columns = (
        column("state", "state"), column("strength", "strength"), column("h_neurons", "H-Neurons"),
        column("per_mille", "per mille", two), column("select_accuracy", "accuracy (select)", say.percent),
        column("often", "in half of the resamples"), column("jaccard", "Jaccard", two), column("home"),
        estimate("auroc", "AUROC at home"), column("n", "n"), column("random", "random", two),
        column("elsewhere", "elsewhere (mean)", two), column("elsewhere_random", "random elsewhere", two),
        column("sets_elsewhere"), column("error", "error"), column("hneuro"), column("folder", "folder"),
    )  # fmt: skip
    lost = [run for run in runs if run.results is None]
    known = [
        (run, {"state": run.state, "error": run.error, "hneuro": run.version, "folder": str(run.folder)})
        for run in (*compared.runs, *lost)
    ]
    return compared.table(
        "runs",
        "All runs that were found. Only those that are done are in the other tables. AUROC at home: on held-out "
        "questions of the set that the neurons were found on; elsewhere: mean over the other sets.",
        columns,
        ((run, {**record, **(_outcome(run) if run.results else {})}) for run, record in known),
    )


def _outcome(run: Run) -> Record:
    results, tidy = run.found, run.tidy
    point = next((point for point in results.path if point.chosen), None)
    tested = tidy.datasets("detection", "auroc")
    own = {name: row for name in tested if (row := tidy.one("detection", "auroc", name, "h_neurons")) is not None}
    random = {name: tidy.one("detection", "auroc", name, "h_neurons/random") for name in own}
    home, others = tidy.in_domain or "", [name for name in own if name != tidy.in_domain]
    at_home = random.get(home)
    return {
        "strength": point and point.strength, "h_neurons": len(results.neurons), "per_mille": per_mille(results),
        "select_accuracy": point and point.accuracy, "often": comes_back(results), "jaccard": of_resamples(results),
        "home": tidy.in_domain, "auroc": own.get(home), "n": own[home].n if home in own else None,
        "random": at_home and at_home.value, "elsewhere": _mean([own[name] for name in others]),
        "elsewhere_random": _mean([random[name] for name in others]), "sets_elsewhere": len(others),
    }  # fmt: skip


def _mean(rows: Sequence[ResultRow | None]) -> float | None:
    """None where one of them is missing, or there are none."""
    known = [row.value for row in rows if row is not None]
    return fmean(known) if known and len(known) == len(rows) else None


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


def two(value: float | None) -> str:
    return say.number(value, 2)


def three(value: float | None) -> str:
    return say.number(value, 3)


def four(value: float | None) -> str:
    return say.number(value, 4)


def share(value: float | None) -> str:
    return say.percent(value, 0)
