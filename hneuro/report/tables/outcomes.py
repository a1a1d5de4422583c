"""What the answers were: in every framing before anything is scaled, and under each neuron set at each alpha."""

from __future__ import annotations

from collections.abc import Mapping

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow

SHARE = "share_"
COLUMNS = ("condition", "alpha", "kind", "share", "share_low", "share_high", "n")


def framings_table(tidy: Tidy) -> Table:
    """The untouched model on the select part, by framing: the one nearest to 50 % compliance is used for the rest."""
    rates = [r for r in tidy.results.rows if (r.stage, r.metric) == ("framing", "compliance")]
    kinds = _kinds(tidy, "framing")
    found = {(r.dataset, r.condition, r.metric): r for r in tidy.results.rows if r.stage == "framing"}
    return Table(
        name="framings",
        caption="Compliance of the untouched model in every framing, on facts of the select part, and the other kinds "
        "of answers. The framing nearest to 50 % is used on the report part.",
        columns=("benchmark", "framing", "compliance", "compliance_low", "compliance_high", "n", "note"),
        numbers=tuple(
            {"benchmark": r.dataset, "framing": r.condition, **numbers_of("compliance", r), "n": r.n, "note": r.note}
            for r in rates
        ),
        heads=("benchmark", "framing", "complies", "n", *kinds, ""),
        shown=tuple(
            (
                say.plain(r.dataset), say.plain(r.condition), say.percent_interval(r, 0), str(r.n),
                *(_share(found.get((r.dataset, r.condition, SHARE + kind))) for kind in kinds),
                r.note.partition(";")[0],
            )
            for r in rates
        ),
    )  # fmt: skip


def outcomes_table(tidy: Tidy) -> Table:
    """The kinds of answers of the neuron sets, not of their controls. With "complies" they add up to 1."""
    found: dict[tuple[str, str, float], dict[str, ResultRow]] = {}
    numbers: list[Record] = []
    for row in tidy.results.rows:
        if row.stage == "causal" and row.metric.startswith(SHARE) and row.alpha is not None and row.seed is None:
            kind = row.metric.removeprefix(SHARE)
            found.setdefault((row.dataset, row.condition, row.alpha), {})[kind] = row
            place: Record = {"condition": row.condition, "alpha": row.alpha, "kind": kind}
            numbers.append({"benchmark": row.dataset, **place, **numbers_of("share", row), "n": row.n})
    kinds = ("complies", *_kinds(tidy, "causal"))
    return Table(
        name="outcomes",
        caption="What the answers were, in percent of the prompts. Only what states the planted value and not the "
        "right one complies; what is refused, cut, derailed or says neither does not.",
        columns=("benchmark", *COLUMNS),
        numbers=tuple(numbers),
        heads=("benchmark", "neurons", "alpha", "n", *kinds),
        shown=tuple(
            (
                say.plain(benchmark), say.condition_name(condition), f"{alpha:g}", str(_any(shares).n),
                *(_share(shares.get(kind)) for kind in kinds),
            )
            for (benchmark, condition, alpha), shares in found.items()
        ),
    )  # fmt: skip


def _kinds(tidy: Tidy, stage: str) -> tuple[str, ...]:
    """The kinds but for compliance, in the order in which they come."""
    every = (r.metric.removeprefix(SHARE) for r in tidy.results.rows if r.stage == stage and r.metric.startswith(SHARE))
    return tuple(kind for kind in dict.fromkeys(every) if kind != "complies")


def _share(row: ResultRow | None) -> str:
    return say.MISSING if row is None else say.percent(row.value, 0)


def _any(shares: Mapping[str, ResultRow]) -> ResultRow:
    return next(iter(shares.values()))
