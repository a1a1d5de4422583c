"""Detection: every detector on every data set, against the others, calibrated, elsewhere, and on the base model."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.table import Column, Record, Table, estimate
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import BASE, HELD, corrected, discrimination, drift_word
from hneuro.result_records import Estimate, ResultRow

SHARES = ("accuracy", "flag_rate", "false_alarms")
FIXED = {**{f"auroc_within_{name}": told for name, told in HELD.items()}, "auroc_within_length": "pairs of one length"}
COVARIATES = "auroc_within_covariates"
MINUS = "auroc_minus_"
SIDE_BY_SIDE = ("h_neurons", "h_neurons/random", "logprob")  # of many runs
CALIBRATION = {
    "prevalence": "hallucinated answers",
    "ece": "ECE (0 is best)",
    "brier": "Brier score (0 is best)",
    "brier_skill": "Brier skill (0: the prevalence alone)",
    "auroc": "AUROC",
    "auprc": "AUPRC (the prevalence by chance)",
    "recall_at_1": "recall at 1 % false alarms",
    "recall_at_5": "recall at 5 % false alarms",
    "recall_at_10": "recall at 10 % false alarms",
    "aurc": "AURC (0 is best)",
    "risk_at_coverage": "hallucinated among the safest",
}
ORIGIN = {
    "auroc": "AUROC",
    "auroc_minus_base_probe": "AUROC, minus that of the base model's own probe",
    "auroc_minus_base": "AUROC, minus that on base",
}


def detection(compared: Compared) -> Table:
    """A row a data set, a part of its answers, and a detector."""
    return compared.table(
        "detection",
        "Detection of hallucination with 95 % intervals; for controls the mean and the middle 95 % of their n sets. "
        "Above the threshold, which is set on the select split, flag rate counts answers about made-up things, false "
        "alarms right answers. p: random sets at least as good; Holm over the data sets and neuron sets of a run.",
        (
            Column("dataset", "data set", say.plain), Column("answers", "answers"),
            Column("condition", "detector", say.condition_name), estimate("auroc", "AUROC"),
            estimate("accuracy", "accuracy", say.percent_interval), Column("n", "n"),
            *(estimate(name, say.plain(name), with_n, count=True) for name in SHARES[1:]),
            Column("p_value", "p", say.p_cell), Column("p_holm", "p (Holm)", say.p_cell),
            Column("verdict", "verdict"), Column("note"),
        ),
        lambda run: _detection(run.tidy, compared.alone),
    )  # fmt: skip


def _detection(tidy: Tidy, alone: bool) -> Iterator[Record]:
    sets = tidy.neuron_sets
    verdicts = {(v.dataset, name): v for name in sets for v in discrimination(tidy, "detection", name)}
    for dataset in tidy.datasets("detection", "auroc"):
        for condition in tidy.conditions("detection", "auroc"):
            area = tidy.one("detection", "auroc", dataset, condition)
            name: Record = {"dataset": dataset, "condition": condition}
            if area is not None:
                verdict = verdicts.get((dataset, condition))
                shares = {share: tidy.one("detection", share, dataset, condition) for share in SHARES}
                yield {
                    **name, "answers": "all", "auroc": area, **shares, "n": area.n, "p_value": area.p_value,
                    "p_holm": verdict and verdict.p_holm, "verdict": verdict.says if verdict else "",
                    "note": area.note, "hidden": not alone and condition not in (*sets, *SIDE_BY_SIDE),
                }  # fmt: skip
            hidden = {"hidden": not (alone and condition in sets)}
            for answers, row in _parts(tidy, dataset, condition):
                yield {**name, "answers": answers, "auroc": row, "n": row.n, **hidden}
        for row in tidy.rows("detection", "auroc_by_size", dataset, "random"):
            some = {"answers": "all", "condition": f"{row.stratum} random neurons"}
            yield {"dataset": dataset, **some, "auroc": row, "n": row.n, "hidden": not alone}


def _parts(tidy: Tidy, dataset: str, condition: str) -> Iterator[tuple[str, ResultRow]]:
    """Parts of the answers, and pairs of them with something held fixed."""
    yield from ((r.stratum, r) for r in tidy.rows("detection", "auroc_in_stratum", dataset, condition))
    for metric, told in FIXED.items():
        if row := tidy.one("detection", metric, dataset, condition):
            yield told, row
    if row := tidy.one("mechanism", COVARIATES, dataset, condition):
        yield "within equal frequency and confidence", row


def comparisons(compared: Compared) -> Table:
    """A row two detectors on the same answers."""
    return compared.table(
        "comparisons",
        "Detectors against others on the same answers: both AUROCs and their paired difference, with 95 % intervals "
        "and p from 2,000 resamples of the groups (never below 0.001), corrected over the family (Holm). Log-prob. + "
        "neurons: one classifier, trained on the select split. Covariates: frequency and confidence, cross-fitted.",
        (
            Column("family", "family"), Column("dataset", "data set", say.plain),
            Column("condition", "detector", say.condition_name), Column("baseline", "against", say.condition_name),
            estimate("ours", "AUROC"), estimate("theirs", "AUROC of other"),
            estimate("difference", "difference", say.signed_interval), Column("n", "n"),
            Column("p_value", "p", say.p_cell), Column("p_holm", "p (Holm)", say.p_cell), Column("note", "remark"),
        ),
        lambda run: (
            {**record, "hidden": not (compared.alone or record["baseline"] == "logprob")}
            for family in ("detection", "mechanism")
            for record in _compared(run.tidy, family)
        ),
    )  # fmt: skip


def _compared(tidy: Tidy, family: str) -> Iterator[Record]:
    """The comparisons of a stage; a signal that was not measured has a remark."""
    every = [row for row in tidy.results.rows if row.stage == family]
    rows = [row for row in every if row.metric.startswith(MINUS)]
    for row, p in corrected(rows):
        other = row.metric.removeprefix(MINUS)
        ours, theirs = (tidy.one(family, "auroc", row.dataset, name) for name in (row.condition, other))
        yield {
            "family": family, "dataset": row.dataset, "condition": row.condition, "baseline": other, "ours": ours,
            "theirs": theirs, "difference": row, "n": row.n, "p_value": row.p_value, "p_holm": p, "note": row.note,
        }  # fmt: skip
    for row in every if family == "mechanism" else ():
        if row.metric == "auroc" and say.missing(row.value) and row.note:
            name = {"family": family, "dataset": row.dataset, "condition": row.condition}
            yield {**name, "baseline": "h_neurons", "n": row.n, "note": row.note}


def calibration(compared: Compared) -> Table:
    """A row a measure and a detector."""
    assumed = [r for _, r in compared.rows() if (r.stage, r.metric) == ("calibration", "prevalence_assumed")]
    own = f", {say.percent_interval(assumed[0])}" if compared.alone and assumed else ""
    return compared.table(
        "calibration",
        "Calibration on all held-out answers that are right or wrong, not balanced. Scores become probabilities by "
        f"Platt scaling on the select split, at its own prevalence{own}. ECE: ten bins of equally many answers. "
        "Safest: the given share of the answers, lowest risk first; AURC: the mean over all shares.",
        (
            Column("dataset", "data set", say.plain), Column("measure", "measure", lambda name: CALIBRATION[name]),
            Column("coverage", "share"), Column("condition", "detector", say.condition_name),
            estimate("value", "value"), Column("n", "n"),
        ),
        lambda run: (
            {"dataset": row.dataset, "measure": row.metric, "coverage": row.stratum, "condition": row.condition,
             "value": row, "n": row.n}
            for row in run.found.rows
            if row.stage == "calibration" and row.metric in CALIBRATION
        ),
    )  # fmt: skip


def transfer(compared: Compared) -> Table:
    """Found on one set (rows), tested on others (columns): models by data sets. The mechanism's own probes, too."""
    every = [name for metric in ("auroc", *SHARES[:2]) for name in compared.names("detection", metric)]
    names = list(dict.fromkeys((*every, *compared.names("mechanism", "transfer_auroc"))))
    return compared.table(
        "transfer",
        "Found on one data set (rows), tested on others (columns), with 95 % intervals and n (of random neurons: how "
        "many sets). A set's own probe is trained on half of its groups and tested on answers about the other half.",
        (
            Column("measure", "measure"), Column("found_on", "neurons of", say.plain),
            Column("condition", "detector", say.condition_name),
            *(estimate(f"on_{name}", say.plain(name), with_n, count=True) for name in names), Column("note", "remark"),
        ),
        lambda run: _transfer(run.tidy),
    )  # fmt: skip


def _transfer(tidy: Tidy) -> Iterator[Record]:
    for metric, told in (("auroc", "AUROC"), ("accuracy", "accuracy"), ("flag_rate", "flagged, made up")):
        for condition in SIDE_BY_SIDE:
            rows = {name: tidy.one("detection", metric, name, condition) for name in tidy.datasets("detection", metric)}
            if known := {f"on_{name}": row for name, row in rows.items() if row and not say.missing(row.value)}:
                yield {"measure": told, "found_on": tidy.in_domain, "condition": condition, **known}
    probes = [row for row in tidy.results.rows if (row.stage, row.metric) == ("mechanism", "transfer_auroc")]
    for source in tidy.datasets("mechanism", "neurons"):
        count = tidy.one("mechanism", "neurons", source, "probe")
        own = "none" if count is None or say.missing(count.value) else f"its own {count.value:.0f}"
        cells = {f"on_{row.dataset}": row for row in probes if row.stratum == source}
        note = count.note if count else ""
        yield {"measure": "AUROC", "found_on": source, "condition": own, **cells, "note": note}


def with_n(row: Estimate | ResultRow) -> str:
    """ "78.4 % [74.0, 82.3], n = 400"."""
    if say.missing(row.value):
        return say.MISSING
    area = isinstance(row, ResultRow) and row.metric.endswith("auroc")
    shown = say.with_interval(row, 2) if area else say.percent_interval(row)
    return f"{shown}, n = {row.n}"


def origin(compared: Compared) -> Table:
    """A row a checkpoint, measure and detector, earliest checkpoint first."""
    return compared.table(
        "origin",
        "The chat model's detector, unchanged, and a probe of the base model's own, on the base model's answers; and "
        "how far the H-Neurons' weights moved from there to chat (cosine distance; rank among all neurons, 0 = changed "
        "most, 1 = least, one-sided p that they changed less; z within their layer), by part of the weights. Of random "
        "and matched neurons n counts sets. All checkpoints read the same answers.",
        (
            Column("checkpoint", "checkpoint", say.plain), Column("dataset", "data set", say.plain),
            Column("metric", "measure", lambda name: ORIGIN.get(name, say.plain(name))),
            Column("condition", "detector", say.condition_name), estimate("value", "value", say.by_metric),
            Column("n", "n"), Column("p_value", "p", say.p_cell), Column("p_holm", "p (Holm)", say.p_cell),
            Column("verdict", "verdict"), Column("note", "remark"),
        ),
        lambda run: _origin(run.tidy),
    )  # fmt: skip


def _origin(tidy: Tidy) -> Iterator[Record]:
    verdicts = {("auroc", v.dataset, v.found.condition): v for v in discrimination(tidy, "origin")}
    rows = [(row.stratum, row) for row in tidy.results.rows if row.stage == "moments"]
    rows += [(BASE, row) for row in tidy.results.rows if row.stage == "origin"]
    for checkpoint, row in rows:
        verdict = verdicts.get((row.metric, row.dataset, row.condition)) if checkpoint == BASE else None
        drift = row.metric.startswith("drift_rank") and "/" not in row.condition
        yield {
            "checkpoint": checkpoint, "dataset": row.dataset, "metric": row.metric, "condition": row.condition,
            "value": row, "n": row.n, "p_value": row.p_value, "p_holm": verdict and verdict.p_holm, "note": row.note,
            "verdict": verdict.says if verdict else drift_word(row).value if drift else "",
        }  # fmt: skip
