"""How firmly the neurons are selected: frequencies over resamples, overlaps, and each H-Neuron's path."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.table import Table
from hneuro.result_records import Overlap, Results

SHOWN = 40  # neurons that the page shows; the CSV has all


def frequencies_table(results: Results) -> Table:
    found = results.stability.neurons if results.stability else ()
    count = results.stability.resamples if results.stability else 0
    columns = ("layer", "expert", "index", "frequency", "highest", "rank")
    more = f" Of {len(found):,} neurons that any resample selects, the {SHOWN} first." if len(found) > SHOWN else ""
    return Table(
        name="frequencies",
        caption=f"How often {count} resamples of the groups select each neuron.{more}",
        columns=columns,
        numbers=tuple({c: getattr(f, c) for c in columns} for f in found),
        heads=("layer", "index", "at the chosen strength", "at most, up to it", "H-Neuron"),
        shown=tuple(
            (
                say.layer(f), str(f.index), say.percent(f.frequency, 0), say.percent(f.highest, 0),
                f"rank {f.rank}" if f.rank else say.MISSING,
            )
            for f in found[:SHOWN]
        ),
    )  # fmt: skip


def overlaps_table(results: Results) -> Table:
    found = results.stability.overlaps if results.stability else ()
    columns = ("between", "first", "second", "shared", "jaccard", "low", "high", "pairs")
    return Table(
        name="overlaps",
        caption="What two selections share: Jaccard overlap of their H-Neurons. No p: two selections "
        "from the same answers share more than random sets do, whatever they are worth.",
        columns=(*columns, "first_size", "second_size"),
        numbers=tuple(
            {**{c: getattr(o, c) for c in columns}, "first_size": o.sizes[0], "second_size": o.sizes[1]}
            for o in found
        ),
        heads=("between", "one", "other", "neurons", "shared", "Jaccard"),
        shown=tuple(
            (o.between, o.first, o.second, f"{o.sizes[0]:.3g} and {o.sizes[1]:.3g}", f"{o.shared:.3g}", _jaccard(o))
            for o in found
        ),
    )  # fmt: skip


def _jaccard(found: Overlap) -> str:
    """ "0.31 (0.11 to 0.55 over 1,225 pairs)"."""
    value = say.number(found.jaccard, 2)
    if found.pairs == 1:
        return value
    return f"{value} ({say.number(found.low, 2)} to {say.number(found.high, 2)} over {found.pairs:,} pairs)"


def neuron_paths_table(results: Results) -> Table:
    """One row a neuron, one column a strength."""
    strengths = [f"{p.strength:g}" for p in results.path]
    complete = [n for n in results.neurons if len(n.path) == len(strengths)]
    return Table(
        name="neuron_paths",
        caption="The path of each H-Neuron: its weight at each strength of the selection.",
        columns=("rank", "layer", "expert", "index", *strengths),
        numbers=tuple(
            {"rank": n.rank, "layer": n.layer, "expert": n.expert, "index": n.index}
            | dict(zip(strengths, n.path, strict=True))
            for n in complete
        ),
        heads=("rank", "layer", "index", *strengths),
        shown=tuple(
            (
                str(n.rank), say.layer(n), str(n.index), *(say.number(w, 2) if w else say.MISSING for w in n.path),
            )
            for n in complete
        ),
    )  # fmt: skip
