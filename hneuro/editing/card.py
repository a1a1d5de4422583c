"""The model card of an edited checkpoint: where it comes from, what was done to it, and what that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hneuro import __version__
from hneuro.causal.perplexity import TEXT
from hneuro.editing.neurons import Activity
from hneuro.models.patch import PATCH, Patch
from hneuro.models.sources import CheckpointSource, HubCheckpoint
from hneuro.report import wording as say
from hneuro.report.tables.causal import DERAILED
from hneuro.report.tables.table import Record, Table, markdown, plain_text
from hneuro.result_records import ResultRow

KEPT = ("license", "license_name", "license_link", "language", "pipeline_tag")  # of the original's metadata


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a card says about an edit."""

    source: CheckpointSource
    patch: Patch
    original_card: str  # "" where there is none
    activity: Activity | None  # of the neurons, before they were scaled


def card(made: Provenance, rows: Sequence[ResultRow] | None) -> str:
    """The card as markdown with its metadata; `rows` None: not validated."""
    patch = made.patch
    by_layer = patch.space.by_layer(set(patch.neurons))
    count = sum(map(len, by_layer.values()))
    layers = ", ".join(f"{layer}: {len(indices)}" for layer, indices in by_layer.items())
    tables = [] if rows is None else [markdown(one) for one in (table(rows), apart(rows))]
    validated = "It was not validated." if rows is None else "\n".join([f"{validation(rows)}\n", *tables]).rstrip()
    return f"""---
{yaml.safe_dump(_metadata(made), sort_keys=False, allow_unicode=True)}---

# {name_of(made.source)}, {count:,} neurons times {patch.alpha:g}

An ordinary checkpoint: nothing of hneuro is needed to use it. It differs from its source in the columns of the down
projections (W_down) that belong to {count:,} of {patch.space.size:,} FFN neurons, which were multiplied by
{patch.alpha:g}. That scales the neurons' activity by {patch.alpha:g} for good (H-Neurons, arXiv:2512.01797).

| | |
|---|---|
| source | {name_of(made.source)} |
| its identity | `{patch.weights}` |
| neurons | {patch.note} |
| neurons by layer | {layers} |
| their activity before | {active(made.activity)} |
| alpha | {patch.alpha:g} |
| made by | hneuro {__version__} |

`{PATCH}` lists the neurons.

## Validation

{validated}
"""


def name_of(source: CheckpointSource) -> str:
    """A hub checkpoint with its revision; else the folder."""
    where = source.locate()
    if isinstance(source, HubCheckpoint) and not Path(where).is_dir():
        return f"{where} at {source.commit()}"
    return where


def active(found: Activity | None) -> str:
    """How active the neurons are, in a few words."""
    if found is None:
        return "not known: a run keeps that of its own H-Neurons"
    every = found.known == found.neurons
    some = f"{found.known:,} neurons" if every else f"the {found.known:,} neurons that are H-Neurons of the run"
    return (
        f"mean CETT at the answer {found.hallucinated:.3g} where it is hallucinated, {found.faithful:.3g} where it is "
        f"faithful; higher where it is hallucinated in {found.higher:,} of {some} (answers of the run's fit split)"
    )


def validation(rows: Sequence[ResultRow]) -> str:
    """How far the edited checkpoint answers as the hooked original does, in a sentence."""
    alike = [row for row in rows if row.metric == "as_hooked"]
    same, n = sum(round(row.value * row.n) for row in alike if row.n), sum(row.n for row in alike)
    return (
        f"On {same:,} of {n:,} prompts the edited checkpoint gives the very words of the original whose neurons are "
        "scaled by a hook."
    )


def table(rows: Sequence[ResultRow]) -> Table:
    """A line for each benchmark and reading: both rates, and the paired change; then the perplexity of the text."""
    at = {(row.dataset, row.metric, row.condition): row for row in rows}
    shown: list[tuple[str, ...]] = []
    numbers: list[Record] = []
    for dataset, metric in dict.fromkeys((row.dataset, row.metric) for row in rows if row.metric in say.READINGS):
        before, after = at[dataset, metric, "original"], at[dataset, metric, "edited"]
        change = at.get((dataset, f"change_{metric}", "edited"))
        shown.append(
            (
                say.plain(dataset), say.READINGS[metric], say.percent_interval(before), say.percent_interval(after),
                say.points_interval(change), str(change.n if change else 0),
                say.p_cell(change.p_value if change else None),
            )
        )  # fmt: skip
        numbers.append({"benchmark": dataset, "metric": metric, "original": before.value, "edited": after.value})
    if read := {row.condition: row for row in rows if row.metric == "perplexity"}:
        before, after, change = read["original"], read["edited"], at[TEXT, "change_perplexity", "edited"]
        values = (say.with_interval(before, 2), say.with_interval(after, 2), say.signed_interval(change, 2))
        shown.append((TEXT, "perplexity", *values, str(change.n), say.p_cell(change.p_value)))
        numbers.append({"benchmark": TEXT, "metric": "perplexity", "original": before.value, "edited": after.value})
    return Table(
        name="validation",
        caption="Change: edited minus original in percentage points, paired by prompt, with 95 % intervals"
        + ("; of the perplexity, in itself and paired by passage." if read else "."),
        columns=("benchmark", "metric", "original", "edited"),
        numbers=tuple(numbers),
        heads=("benchmark", "reading", "original", "edited", "change", "pairs", "p"),
        shown=tuple(shown),
    )


def apart(rows: Sequence[ResultRow]) -> Table:
    """A line for each benchmark: how many answers of either do not count, or break down."""
    at = {(row.dataset, row.metric, row.condition): row for row in rows}
    numbers: list[Record] = []
    for name in dict.fromkeys(row.dataset for row in rows if row.metric == DERAILED[0]):
        for side in ("original", "edited"):
            own = {metric: at[name, metric, side] for metric in DERAILED}
            counts = {metric: round(row.value * row.n) if row.n else 0 for metric, row in own.items()}
            numbers.append({"benchmark": name, "model": side, "answers": own[DERAILED[0]].n, **counts})
    columns = ("answers", *DERAILED)
    return Table(
        name="apart",
        caption="Answers of the original / of the edited checkpoint to prompts that test something. Of these: those "
        "that no rule or judge could read (unparsed, left out of rates), that decline (refused: left out of "
        "compliance, wrong among known facts), that were cut off (truncated), or that repeat themselves (degenerate).",
        columns=("benchmark", "model", *columns),
        numbers=tuple(numbers),
        heads=("benchmark", *columns),
        shown=tuple(
            (say.plain(str(before["benchmark"])), *(f"{before[column]} / {after[column]}" for column in columns))
            for before, after in zip(numbers[::2], numbers[1::2], strict=True)
        ),
    )


def as_text(rows: Sequence[ResultRow]) -> str:
    """The same for the terminal."""
    tables = [f"{one.caption}\n\n{plain_text(one.heads, one.shown)}" for one in (table(rows), apart(rows))]
    return "\n\n".join([*tables, validation(rows)])


def _metadata(made: Provenance) -> Mapping[str, Any]:
    """What the hub reads. A license is that of the source."""
    known: Mapping[str, Any] = {}
    parts = made.original_card.split("---\n", 2)
    if len(parts) == 3 and not parts[0].strip():
        try:
            known = yaml.safe_load(parts[1]) or {}
        except yaml.YAMLError:  # a card that nobody can read has nothing to keep
            known = {}
    base = made.source.path if isinstance(made.source, HubCheckpoint) else None
    hub = {} if base is None or Path(base).is_dir() else {"base_model": base, "base_model_relation": "finetune"}
    kept = {key: known[key] for key in KEPT if key in known} if isinstance(known, Mapping) else {}
    return {**hub, "library_name": "transformers", "tags": ["hneuro", "edited"], **kept}
