"""The model card of an edited checkpoint: where it comes from, what was done to it, and what that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hneuro import __version__
from hneuro.editing.neurons import Activity
from hneuro.models.patch import PATCH, Patch
from hneuro.models.sources import CheckpointSource, HubCheckpoint
from hneuro.report import wording as say
from hneuro.report.table import Column, Record, Table, estimate, markdown, plain_text
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

# {name_of(made.source)}, {count:,} neurons times {patch.times}

An ordinary checkpoint: nothing of hneuro is needed to use it. It differs from its source in the columns of the down
projections (W_down) that belong to {count:,} of {patch.space.size:,} FFN neurons, which were multiplied by
{patch.times}. That scales the neurons' activity as much for good (H-Neurons, arXiv:2512.01797).

| | |
|---|---|
| source | {name_of(made.source)} |
| its identity | `{patch.weights}` |
| neurons | {patch.note} |
| neurons by layer | {layers} |
| their activity before | {active(made.activity)} |
| alpha | {patch.times} |
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
    records: list[Record] = []
    for dataset, metric in dict.fromkeys((row.dataset, row.metric) for row in rows if row.condition == "original"):
        if metric in (*say.READINGS, "perplexity"):
            change = at.get((dataset, f"change_{metric}", "edited"))
            sides = {side: at[dataset, metric, side] for side in ("original", "edited")}
            pairs = {"pairs": change.n if change else 0, "p_value": change and change.p_value}
            records.append({"benchmark": dataset, "metric": metric, **sides, "change": change, **pairs})
    read = any(record["metric"] == "perplexity" for record in records)
    return Table(
        name="validation",
        caption="Change: edited minus original in percentage points, paired by prompt, with 95 % intervals"
        + ("; of the perplexity, in itself and paired by passage." if read else "."),
        columns=(
            Column("benchmark", "benchmark", say.plain),
            Column("metric", "reading", lambda metric: say.READINGS.get(metric, metric)),
            estimate("original", "original", _rate),
            estimate("edited", "edited", _rate),
            estimate("change", "change", _change),
            Column("pairs", "pairs"),
            Column("p_value", "p", say.p_cell),
        ),
        records=tuple(records),
    )


def _rate(row: ResultRow) -> str:
    return say.with_interval(row, 2) if row.metric == "perplexity" else say.percent_interval(row)


def _change(row: ResultRow | None) -> str:
    perplexity = row is not None and row.metric == "change_perplexity"
    return say.signed_interval(row, 2) if perplexity else say.points_interval(row)


def apart(rows: Sequence[ResultRow]) -> Table:
    """A line for each benchmark: how many answers of either do not count, or break down."""
    at = {(row.dataset, row.metric, row.condition): row for row in rows}
    records: list[Record] = []
    for name in dict.fromkeys(row.dataset for row in rows if row.metric == say.APART[0]):
        both = [{m: at[name, m, side] for m in say.APART} for side in ("original", "edited")]
        answers = " / ".join(str(own[say.APART[0]].n) for own in both)
        counts = {
            m: " / ".join(str(round(own[m].value * own[m].n) if own[m].n else 0) for own in both) for m in say.APART
        }
        records.append({"benchmark": name, "answers": answers, **counts})
    return Table(
        name="apart",
        caption="Answers of the original / of the edited checkpoint to prompts that test something. Of these: those "
        "that no rule or judge could read (unparsed, left out of rates), that decline (refused: left out of "
        "compliance, wrong among known facts), that were cut off (truncated), or that repeat themselves (degenerate).",
        columns=(
            Column("benchmark", "benchmark", say.plain),
            *(Column(name, name) for name in ("answers", *say.APART)),
        ),
        records=tuple(records),
    )


def as_text(rows: Sequence[ResultRow]) -> str:
    """The same for the terminal."""
    tables = [f"{one.caption}\n\n{plain_text(one)}" for one in (table(rows), apart(rows))]
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
