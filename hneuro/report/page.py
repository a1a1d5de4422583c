"""The report of one run or of many: one HTML page, and the tables, figures and rows next to it."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hneuro.codec import write_jsonl
from hneuro.disk import replacing, write_text
from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.figures.alpha import alpha_pictures, pictured
from hneuro.report.figures.cost import cost_pictures
from hneuro.report.figures.effects import effect_pictures
from hneuro.report.figures.forest import change_pictures, detection_pictures, origin_pictures
from hneuro.report.figures.matrix import matrix_pictures
from hneuro.report.figures.selection import one_neuron, selection_pictures
from hneuro.report.figures.style import Picture, on_page, safe, save
from hneuro.report.findings import FEW, MANY_CUT, QUESTIONS, findings, warnings
from hneuro.report.folders import DONE, Run
from hneuro.report.published import Published, published_table
from hneuro.report.table import Table, plain_text, write
from hneuro.report.tables import all_tables
from hneuro.report.tiles import tiles
from hneuro.result_records import NeuronRow, ResultRow, Results

TEMPLATES = Path(__file__).parent / "templates"
GLOSSARY = (TEMPLATES / "glossary.md", Path(__file__).parents[2] / "docs" / "glossary.md")  # in a wheel, in a clone
PAGE, DISAGREEMENTS = "report.html", "disagreements.jsonl"
DEEPEST = 0.8  # opacity of the colour at a risk of 1
TERMINAL = 8  # rows of each table
WRITTEN = (".csv", ".md", ".tex", ".png", ".svg", ".pdf")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What `write_summary` has written."""

    page: Path
    tables: Mapping[str, Table]
    notes: Sequence[str]  # what a reader should beware of

    @property
    def text(self) -> str:
        """For the terminal: what was published or else detection, which runs are not in it, and where the page is."""
        shown = self.tables.get("published") or self.tables.get("transfer")
        parts = [f"{shown.caption}\n\n{plain_text(shown, TERMINAL)}"] if shown else []
        return "\n\n".join([*parts, *(f"note: {note}" for note in self.notes), f"report: {self.page.resolve()}"])


def write_report(results: Results, folder: Path) -> Path:
    """Writes report.html, tables/, figures/, rows.parquet and, of several judges, disagreements.jsonl into `folder`.

    The same results give the same bytes (PDFs the same objects in any order), and nothing of an earlier result stays.
    The page comes last: once it is there, everything next to it is complete. Returns the path of the page.
    """
    compared = Compared.one(results, folder)
    tables = write_tables(compared, folder)
    tidy = compared.runs[0].tidy
    return _write_page(
        compared,
        folder,
        title=results.title,
        tables=tables,
        results=results,
        tiles=tiles(compared),
        warnings=warnings(tidy),
        findings=findings(tidy),
        notes=tidy.notes("detection"),
    )


def write_summary(runs: Sequence[Run], published: Sequence[Published], folder: Path) -> Summary:
    """The same of several runs, whose page holds no text that a model said. `published`: figures to compare with."""
    compared = Compared(runs)
    tables = write_tables(compared, folder, runs, published)
    notes, lost = tuple(_notes(runs)), [run for run in runs if run.results is None]
    known = [run for run in (*compared.runs, *lost) if (run.folder / PAGE).is_file()]
    links = {run.folder: os.path.relpath(run.folder / PAGE, folder) for run in known}
    page = _write_page(
        compared,
        folder,
        title=f"{len(compared.runs)} runs side by side",
        tables=tables,
        notes=notes,
        links=links,
        pages=[(compared.label(run) if run.results else run.name, links[run.folder]) for run in known],
    )
    return Summary(page=page, tables=tables, notes=notes)


def write_tables(
    compared: Compared, folder: Path, runs: Sequence[Run] = (), published: Sequence[Published] = ()
) -> Mapping[str, Table]:
    """Writes all but the page and its figures, in which most of the time goes. Returns the tables by name."""
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    made = all_tables(compared, runs)
    if published:
        made = {"published": published_table(compared, published), **made}
    for table in made.values():
        write(table, tables)
    rows = list(compared.rows())
    whose = pd.DataFrame([compared.facts(run) for run, _ in rows], columns=list(compared.columns)).astype("str")
    with replacing(folder / "rows.parquet") as fresh:
        pd.concat([whose, rows_frame(row for _, row in rows)], axis=1).to_parquet(fresh, index=False)
    disagreements = compared.runs[0].found.disagreements if compared.alone else ()
    if disagreements:
        with replacing(folder / DISAGREEMENTS) as fresh:
            write_jsonl(fresh, disagreements)
    elif compared.alone:
        (folder / DISAGREEMENTS).unlink(missing_ok=True)
    _remove_others(tables, made)
    return made


def _write_page(compared: Compared, folder: Path, **shown: Any) -> Path:
    """`shown`: what only a page of one run, or only one of many, has."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    drawn = {
        name: [save(one, figures) for one in found] for name, found in _pictures(compared, shown.get("links")).items()
    }
    every = [picture for found in drawn.values() for picture in found]
    _remove_others(figures, {picture.name for picture in every})
    results, script = shown.get("results"), _script()
    data = {
        "figures": {picture.name: picture.figure for picture in every},
        "one": json.loads(on_page(json.dumps(one_neuron()))),
        "neurons": [_facts(neuron) for neuron in results.neurons] if results else [],
        "answers": [dataclasses.asdict(answer) for answer in results.fit_answers] if results else [],
    }
    # The page runs this script and no other, whatever a model said.
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = _template().render(
        {"results": None, "tiles": (), "warnings": (), "pages": ()} | shown,
        compared=compared,
        figures=drawn,
        data=data,
        few=FEW,
        questions=QUESTIONS,
        glossary=glossary(),
        many_cut=say.percent(MANY_CUT, 0),
        script=Markup(script),
        allowed=allowed,
    )
    write_text(folder / PAGE, text)
    return folder / PAGE


@functools.cache
def _script() -> str:
    """Ours, with Vega-Lite in it: nothing is fetched when the page is opened."""
    return vl_convert.javascript_bundle((TEMPLATES / "report.js").read_text(encoding="utf-8"))


def pictures(results: Results) -> Iterator[Picture]:
    """All figures of a run."""
    for section in _pictures(Compared.one(results), None).values():
        yield from section


def _pictures(compared: Compared, links: Mapping[Path, str] | None) -> Mapping[str, Iterable[Picture]]:
    """Section -> its figures; `links`: of many runs, run folder -> its page."""
    tidy = compared.runs[0].tidy
    sets = pictured(tidy) if compared.alone else []
    costs = (picture for name in sets for picture in cost_pictures(tidy, name))
    changes = (picture for name in sets for picture in change_pictures(tidy, name))
    return {
        "matrix": () if links is None else matrix_pictures(compared, links),
        "detection": detection_pictures(compared),
        "cause": (*costs, *alpha_pictures(compared), *changes),
        "neurons": (*selection_pictures(compared), *effect_pictures(compared)),
        "base": origin_pictures(compared),
    }


@functools.cache
def glossary() -> Mapping[str, str]:
    """Word -> what it is here."""
    text = next(file for file in GLOSSARY if file.is_file()).read_text(encoding="utf-8").replace("`", "")
    return dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", text, flags=re.MULTILINE))


def terms(text: str) -> Markup:
    """Escaped, with each word of the glossary as a link to it, once; hovering shows what it is."""
    known = {word.lower(): (word, what) for word, what in glossary().items() if len(word) > 1}
    seen = set[str]()

    def link(found: re.Match[str]) -> str:
        word, what = known[found[1].lower()]
        if word in seen:
            return found[0]
        seen.add(word)
        return f'<a class="term" href="#word-{safe(word)}" title="{escape(what)}">{found[0]}</a>'

    either = "|".join(re.escape(str(escape(word))) for word in sorted(known, key=len, reverse=True))
    return Markup(re.sub(rf"\b({either})s?\b", link, str(escape(text)), flags=re.IGNORECASE))


def _facts(neuron: NeuronRow) -> Sequence[str]:
    """What the panel of a neuron says above its answers."""
    often = "" if neuron.frequency is None else f", selected in {say.percent(neuron.frequency, 0)} of the resamples"
    about = f"Rank {neuron.rank}, weight {say.number(neuron.weight)}, own AUROC {say.number(neuron.auroc)}{often}."
    return f"Neuron {neuron.index} of layer {say.layer(neuron)}", about


def rows_frame(rows: Iterable[ResultRow]) -> pd.DataFrame:
    """All rows, a column a field, with types that do not depend on which rows there are."""
    types = {"value": "float64", "low": "float64", "high": "float64", "alpha": "float64", "p_value": "float64"}
    fields = [f.name for f in dataclasses.fields(ResultRow)]
    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=fields)
    return frame.astype({f: types.get(f, {"n": "int64", "seed": "Int64"}.get(f, "str")) for f in fields})


def depth(risk: float) -> str:
    """The opacity of a token's colour, at which the text stays readable."""
    return "0" if say.missing(risk) else f"{DEEPEST * min(max(risk, 0.0), 1.0):.3f}"


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """What an earlier result left here under names that this one does not have."""
    for file in folder.iterdir():
        if file.stem not in names and file.suffix in WRITTEN:
            file.unlink(missing_ok=True)


def _notes(runs: Sequence[Run]) -> Iterator[str]:
    for state in dict.fromkeys(run.state for run in runs if run.state != DONE):
        those = [run for run in runs if run.state == state]
        why = next((f" ({run.error})" for run in those if run.error), "")
        names = ", ".join(run.name for run in those)
        yield f"{len(those)} of {len(runs)} runs not in the tables: {state}, {names}{why}"
    versions = sorted({run.version for run in runs if run.version})
    if len(versions) > 1:
        yield f"made by different versions of hneuro ({', '.join(versions)}): run the older ones again"


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # the page shows what a model said
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own figures are the only markup that is let through; Vega escapes the names in them.
    environment.filters["svg"] = lambda drawn: Markup(drawn.svg)
    environment.filters.update(terms=terms, safe_id=safe, depth=depth, plain=say.plain)
    environment.filters.update(number=say.number, percent=say.percent)
    return environment.get_template("report.html.jinja")
