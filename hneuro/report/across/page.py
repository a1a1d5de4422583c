"""The report over several runs: one HTML page, and the tables, figures and rows beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hneuro.disk import replacing, write_text
from hneuro.report.across.causal import changes_table, curves_table, slopes_table
from hneuro.report.across.compared import Compared
from hneuro.report.across.detection import detection_table, transfer_table
from hneuro.report.across.figures import pictures
from hneuro.report.across.folders import DONE, Run
from hneuro.report.across.origin import origin_table
from hneuro.report.across.published import Published, pairs, published_table
from hneuro.report.across.selection import labelings_table, path_table
from hneuro.report.figures.style import Drawn, Picture, house_style, save, save_pdf
from hneuro.report.page import WRITTEN, page_template, remove_others, rows_frame
from hneuro.report.tables.table import Table, plain_text, write
from hneuro.report.wording import MISSING

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `write_summary` has written."""

    page: Path
    tables: dict[str, Table]
    notes: tuple[str, ...]  # what a reader should beware of

    @property
    def text(self) -> str:
        """For the terminal: detection, what was published, which runs are not in it."""
        shown = [
            self.tables[name]
            for name in ("detection_accuracy", "detection_flag_rate", "published")
            if name in self.tables
        ]
        parts = [f"{table.caption}\n\n{plain_text(table.heads, table.shown)}" for table in shown]
        return "\n\n".join([*parts, *(f"note: {note}" for note in self.notes), f"report: {self.page.resolve()}"])


def write_summary(runs: Sequence[Run], published: Sequence[Published], folder: Path) -> Summary:
    """Writes report.html, tables/, figures/ and rows.parquet into `folder`; nothing of an earlier report stays.

    Tables as CSV, markdown and LaTeX, figures as PNG, SVG and PDF. The page holds no text that a model said.
    """
    compared = Compared(runs)
    tables, figures = folder / "tables", folder / "figures"
    for needed in (tables, figures):
        needed.mkdir(parents=True, exist_ok=True)
    made = {table.name: table for table in _tables(compared, runs, published)}
    written = {name: table for name, table in made.items() if table}
    for table in written.values():
        write(table, tables)
    with replacing(folder / "rows.parquet") as fresh:
        _rows(compared).to_parquet(fresh, index=False)
    with house_style():
        drawn = {section: _saved(found, figures) for section, found in pictures(compared).items()}
    remove_others(tables, written)
    remove_others(figures, {each.name for found in drawn.values() for each in found}, (*WRITTEN, ".pdf"))
    notes = tuple(_notes(runs))
    page = folder / PAGE
    text = page_template("across.html.jinja").render(
        title=f"{len(compared.runs)} runs",
        runs=[
            (run, os.path.relpath(run.folder / PAGE, folder) if (run.folder / PAGE).is_file() else "")
            for run in (*compared.runs, *(run for run in runs if run.results is None))
        ],
        compared=compared, tables=made, written=written, figures=drawn, notes=notes,
    )  # fmt: skip
    write_text(page, text)
    return Summary(page=page, tables=written, notes=notes)


def _tables(compared: Compared, runs: Sequence[Run], published: Sequence[Published]) -> tuple[Table, ...]:
    return (
        published_table(pairs(compared, published)),
        detection_table(compared, "accuracy"),
        detection_table(compared, "auroc"),
        detection_table(compared, "flag_rate"),
        transfer_table(compared),
        labelings_table(compared),
        path_table(compared),
        changes_table(compared),
        slopes_table(compared),
        curves_table(compared),
        origin_table(compared),
        runs_table(compared, runs),
    )


def runs_table(compared: Compared, runs: Sequence[Run]) -> Table:
    """Every run with its state: those without results too, with what is known of the reason."""
    every = (*compared.runs, *(run for run in runs if run.results is None))
    return Table(
        name="runs",
        caption="All runs that were found, with their state. Only those that are done stand in the tables.",
        columns=(*compared.columns, "state", "error", "hneuro", "folder"),
        numbers=tuple(
            {**compared.facts(run), "state": run.state, "error": run.error, "hneuro": run.version,
             "folder": str(run.folder)}
            for run in every
        ),
        heads=(*compared.heads(), "state", "run", "error"),
        shown=tuple((*compared.cells(run), run.state, run.name, run.error or MISSING) for run in every),
    )  # fmt: skip


def _rows(compared: Compared) -> pd.DataFrame:
    """All rows of all runs, tidy, behind columns that say whose they are."""
    found = list(compared.rows())
    whose = pd.DataFrame([compared.facts(run) for run, _ in found], columns=list(compared.columns))
    return pd.concat([whose.astype("str"), rows_frame(row for _, row in found)], axis=1)


def _notes(runs: Sequence[Run]) -> list[str]:
    found = []
    for state in dict.fromkeys(run.state for run in runs if run.state != DONE):
        those = [run for run in runs if run.state == state]
        why = next((f" ({run.error})" for run in those if run.error), "")
        found.append(f"{len(those)} of {len(runs)} runs not in the tables: {state}, {those[0].name}{why}")
    versions = sorted({run.version for run in runs if run.version})
    if len(versions) > 1:
        found.append(f"made by different versions of hneuro ({', '.join(versions)}): run the older ones again")
    return found


def _saved(found: Sequence[Picture], folder: Path) -> list[Drawn]:
    drawn = []
    for picture in found:
        drawn.append(save(picture, folder))
        save_pdf(picture, folder)
    return drawn
