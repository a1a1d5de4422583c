"""Detection: every detector on every data set, against the others, and what its probability is good for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.folders import Run
from hneuro.report.table import Record, Table, column, estimate
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import HELD, corrected, discrimination
from hneuro.result_records import ResultRow

SHARES = ("accuracy", "flag_rate", "false_alarms")
FIXED = {**{f"auroc_within_{name}": told for name, told in HELD.items()}, "auroc_within_length": "pairs of one length"}
COVARIATES = "auroc_within_covariates"
MINUS = "auroc_minus_"
SIDE = "_minus_faithful"
SPARSITY = {"active_share": "carry 90 %", "hoyer": "Hoyer"}
SIGNALS = ("unsure", "inconsistency", "rarity")  # of the mechanism stage, which no baseline of detection is
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


def detection(compared: Compared) -> Table:
    """A row a data set, a part of its answers, and a detector."""
    return compared.table(
        "detection",
        "Detection of hallucination with 95 % intervals; of controls the mean and the middle 95 % of their sets, whose "
        "number is n. Flagged: answers about made-up things above the threshold that select has set; false alarms: "
        "faithful ones. p: random sets at least as good; Holm over data sets and sets of neurons, one run.",
        (
            column("dataset", "data set", say.plain), column("answers", "answers"),
            column("condition", "detector", say.condition_name), estimate("auroc", "AUROC"),
            *(estimate(name, say.plain(name), say.percent_interval) for name in SHARES), column("n", "n"),
            column("p_value", "p", say.p_cell), column("p_holm", "p (Holm)", say.p_cell),
            column("verdict", "verdict"), column("note"),
        ),
        ((run, record) for run in compared.runs for record in _detection(run.tidy, compared.alone)),
    )  # fmt: skip


def _detection(tidy: Tidy, alone: bool) -> Iterator[Record]:
    sets = tidy.neuron_sets
    verdicts = {(v.dataset, v.neuron_set): v for name in sets for v in discrimination(tidy, "detection", name)}
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
            for answers, row in _parts(tidy, dataset, condition):
                yield {
                    **name,
                    "answers": answers,
                    "auroc": row,
                    "n": row.n,
                    "hidden": not (alone and condition in sets),
                }
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
    """A row two detectors, or two kinds of answers, on the same rows."""
    return compared.table(
        "comparisons",
        "What else could tell, on the same answers: both values and the paired difference, with 95 % intervals and p "
        "from 2,000 resamples of the groups (never below 0.001), corrected over the family (Holm). Log-prob. + "
        "neurons: one classifier, learnt on select. Covariates: frequency and confidence, cross-fitted. Sparsity: the "
        "share of neurons that carries 90 % of the contribution, and Hoyer's index, hallucinated against faithful.",
        (
            column("family", "family"), column("dataset", "data set", say.plain), column("layer", "layer"),
            column("condition", "detector", say.condition_name), column("baseline", "against", say.condition_name),
            estimate("ours", "value"), estimate("theirs", "of the other"),
            estimate("difference", "difference", say.signed_interval), column("n", "n"),
            column("p_value", "p", say.p_cell), column("p_holm", "p (Holm)", say.p_cell), column("note", "remark"),
        ),
        (
            (run, {**record, "hidden": record.get("hidden") or not (compared.alone or record["baseline"] == "logprob")})
            for run in compared.runs
            for record in (*_paired(run.tidy), *_mechanism(run.tidy), *_sparsity(run.tidy))
        ),
    )  # fmt: skip


def _record(family: str, row: ResultRow, p: float | None, ours: ResultRow | None, theirs: ResultRow | None) -> Record:
    return {
        "family": family, "dataset": row.dataset, "condition": row.condition,
        "baseline": row.metric.removeprefix(MINUS), "ours": ours, "theirs": theirs, "difference": row, "n": row.n,
        "p_value": row.p_value, "p_holm": p, "note": row.note,
    }  # fmt: skip


def _paired(tidy: Tidy) -> Iterator[Record]:
    """Detection, and what the mechanism stage has compared with the H-Neurons, the other way round."""
    rows = [r for r in tidy.results.rows if r.stage == "detection" and r.metric.startswith(MINUS)]
    signals = [r for r in tidy.results.rows if (r.stage, r.metric) == ("mechanism", f"{MINUS}h_neurons")]
    rows += [
        replace(r, metric=f"{MINUS}{r.condition}", condition="h_neurons", value=-r.value, note="",
                low=None if r.high is None else -r.high, high=None if r.low is None else -r.low)
        for r in signals
        if r.condition in SIGNALS
    ]  # fmt: skip
    for row, p in corrected(rows):
        names = (row.condition, row.metric.removeprefix(MINUS))
        stages = ("mechanism" if name in SIGNALS else "detection" for name in names)
        areas = [tidy.one(stage, "auroc", row.dataset, name) for stage, name in zip(stages, names, strict=True)]
        yield _record("detection", row, p, *areas)


def _mechanism(tidy: Tidy) -> Iterator[Record]:
    """Every signal of the mechanism stage; one that was not measured has a remark."""
    every = [r for r in tidy.results.rows if r.stage == "mechanism"]
    for row, p in corrected([r for r in every if r.metric.startswith(MINUS)]):
        names = (row.condition, row.metric.removeprefix(MINUS))
        yield _record("mechanism", row, p, *(tidy.one("mechanism", "auroc", row.dataset, name) for name in names))
    compared = {(r.dataset, r.condition) for r in every if r.metric.startswith(MINUS)}
    for row in every:
        if row.metric == "auroc" and (row.dataset, row.condition) not in compared and row.note:
            blank = replace(row, value=float("nan"), low=None, high=None)
            yield {**_record("mechanism", blank, None, row, None), "baseline": "h_neurons"}


def _sparsity(tidy: Tidy) -> Iterator[Record]:
    rows = [r for r in tidy.results.rows if r.stage == "mechanism" and r.metric.endswith(SIDE)]
    for row, p in corrected(rows):
        measure = row.metric.removesuffix(SIDE)
        sides = [
            next((r for r in tidy.rows("mechanism", measure, row.dataset, side) if r.stratum == row.stratum), None)
            for side in ("hallucinated", "faithful")
        ]
        layer: Record = {"layer": row.stratum, "hidden": row.stratum != "all layers", "baseline": "faithful"}
        yield {**_record(f"sparsity, {SPARSITY[measure]}", row, p, *sides), **layer}


def calibration(compared: Compared) -> Table:
    """A row a measure and a detector."""
    assumed = [r for _, r in compared.rows() if (r.stage, r.metric) == ("calibration", "prevalence_assumed")]
    own = f", {say.percent_interval(assumed[0])}" if compared.alone and assumed else ""
    return compared.table(
        "calibration",
        "Calibration on all held-out answers that are right or wrong, none balanced away. Scores are made into "
        f"probabilities on the select split (Platt), at its own prevalence{own}. ECE: ten bins of as many answers. "
        "Safest: this share of the answers, of the lowest risk; AURC: the mean over all shares.",
        (
            column("dataset", "data set", say.plain), column("measure", "measure", lambda name: CALIBRATION[name]),
            column("coverage", "share"), column("condition", "detector", say.condition_name),
            estimate("value", "value"), column("n", "n"),
        ),
        (
            (run, {"dataset": row.dataset, "measure": row.metric, "coverage": row.stratum, "condition": row.condition,
                   "value": row, "n": row.n})
            for run, row in compared.rows()
            if row.stage == "calibration" and row.metric in CALIBRATION
        ),
    )  # fmt: skip


def transfer(compared: Compared) -> Table:
    """Found on one set (rows), tested on others (columns): models by data sets. The mechanism's own probes, too."""
    every = [name for metric in ("auroc", *SHARES[:2]) for name in compared.names("detection", metric)]
    names = list(dict.fromkeys((*every, *compared.names("mechanism", "transfer_auroc"))))
    return compared.table(
        "transfer",
        "Found on one data set (rows), tested on others (columns), with 95 % intervals and n, which for random neurons "
        "counts sets. The probe of a set: trained on half of its groups, tested on answers about the other half.",
        (
            column("measure", "measure"), column("found_on", "neurons of", say.plain),
            column("condition", "detector", say.condition_name),
            *(estimate(f"on_{name}", say.plain(name), with_n, count=True) for name in names), column("note", "remark"),
        ),
        ((run, record) for run in compared.runs for record in _transfer(run)),
    )  # fmt: skip


def _transfer(run: Run) -> Iterator[Record]:
    tidy = run.tidy
    for metric, told in (("auroc", "AUROC"), ("accuracy", "accuracy"), ("flag_rate", "flagged, made up")):
        for condition in SIDE_BY_SIDE:
            rows = {name: tidy.one("detection", metric, name, condition) for name in tidy.datasets("detection", metric)}
            if known := {f"on_{name}": row for name, row in rows.items() if row and not say.missing(row.value)}:
                yield {"measure": told, "found_on": tidy.in_domain, "condition": condition, **known}
    for source in tidy.datasets("mechanism", "neurons"):
        count = tidy.one("mechanism", "neurons", source, "probe")
        cells = {
            f"on_{row.dataset}": row
            for name in tidy.datasets("mechanism", "transfer_auroc")
            for row in tidy.rows("mechanism", "transfer_auroc", name, "probe")
            if row.stratum == source
        }
        own = (
            {"condition": f"its own {count.value:.0f}"}
            if count and not say.missing(count.value)
            else {"condition": "none"}
        )
        yield {"measure": "AUROC", "found_on": source, **own, **cells, "note": count.note if count else ""}


def with_n(row: ResultRow | None) -> str:
    """ "78.4 % [74.0, 82.3], n = 400"."""
    if row is None or say.missing(row.value):
        return say.MISSING
    shown = say.with_interval(row, 2) if row.metric.endswith("auroc") else say.percent_interval(row)
    return f"{shown}, n = {row.n}"
