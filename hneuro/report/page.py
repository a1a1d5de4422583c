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
from hneuro.report.figures.neurons import neuron_pictures, one_neuron
from hneuro.report.figures.path import path_pictures
from hneuro.report.figures.style import Picture, on_page, safe, save
from hneuro.report.findings import FEW, MANY_CUT, findings
from hneuro.report.folders import DONE, Run
from hneuro.report.published import Published, pairs, published_table
from hneuro.report.table import Table, plain_text, write
from hneuro.report.tables import all_tables
from hneuro.report.tiles import tiles, warning, warnings
from hneuro.result_records import ColouredResponse, NeuronRow, ResultRow, Results

TEMPLATES = Path(__file__).parent / "templates"
GLOSSARY = (TEMPLATES / "glossary.md", Path(__file__).parents[2] / "docs" / "glossary.md")  # in a wheel, in a clone
PAGE = "report.html"
GOLD_SHOWN = 5
DEEPEST = 0.8  # opacity of the colour at a risk of 1, so that the text stays readable
TERMINAL = 8  # rows of each table
WRITTEN = (".csv", ".md", ".tex", ".png", ".svg", ".pdf")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """What `write_summary` has written."""

    page: Path
    tables: Mapping[str, Table]
    notes: tuple[str, ...]  # what a reader should beware of

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
    return _write_page(compared, write_tables(compared, folder), folder, title=results.title)


def write_summary(runs: Sequence[Run], published: Sequence[Published], folder: Path) -> Summary:
    """The same of several runs, whose page holds no text that a model said. `published`: figures to compare with."""
    compared = Compared(runs)
    tables = write_tables(compared, folder, runs, published)
    notes, lost = tuple(_notes(runs)), [run for run in runs if run.results is None]
    pages = {run.name: run.folder / PAGE for run in (*compared.runs, *lost) if (run.folder / PAGE).is_file()}
    links = {name: os.path.relpath(page, folder) for name, page in pages.items()}
    title = f"{len(compared.runs)} runs side by side"
    page = _write_page(compared, tables, folder, title=title, notes=notes, links=links)
    return Summary(page=page, tables=tables, notes=notes)


def write_tables(
    compared: Compared, folder: Path, runs: Sequence[Run] = (), published: Sequence[Published] = ()
) -> Mapping[str, Table]:
    """Writes all but the page and its figures, in which most of the time goes. Returns the tables by name."""
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    made = all_tables(compared, runs)
    if published:
        made = {"published": published_table(pairs(compared, published)), **made}
    for table in made.values():
        write(table, tables)
    rows = list(compared.rows())
    whose = pd.DataFrame([compared.facts(run) for run, _ in rows], columns=list(compared.columns)).astype("str")
    with replacing(folder / "rows.parquet") as fresh:
        pd.concat([whose, rows_frame(row for _, row in rows)], axis=1).to_parquet(fresh, index=False)
    if compared.alone:
        _write_disagreements(compared.runs[0].found, folder / "disagreements.jsonl")
    _remove_others(tables, made)
    return made


def _write_page(
    compared: Compared,
    tables: Mapping[str, Table],
    folder: Path,
    title: str,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> Path:
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    drawn = {name: [save(one, figures) for one in found] for name, found in _pictures(compared).items()}
    _remove_others(figures, {picture.name for found in drawn.values() for picture in found})
    results = compared.runs[0].found if compared.alone else None
    tidy = compared.runs[0].tidy
    script = _script()
    text = _template().render(
        title=title,
        results=results,
        tiles=tiles(compared),
        axes=compared.axes,
        few=FEW,
        glossary=glossary(),
        many_cut=say.percent(MANY_CUT, 0),
        warning=next(iter(notes), "") or warning(compared),
        warnings=len(warnings(tidy)) if results else 0,
        findings=_grouped(findings(tidy), "question") if results else {},
        responses=_grouped(map(readable, results.responses), "dataset") if results else {},
        verdicts=sorted({response.verdict.value for response in results.responses}) if results else (),
        notes=notes or (tidy.notes("detection") if results else ()),
        links=links or {},
        tables=tables,
        figures=drawn,
        data={
            "figures": {picture.name: picture.spec for found in drawn.values() for picture in found},
            "one": json.loads(on_page(json.dumps(one_neuron()))),
            "neurons": [_facts(neuron) for neuron in results.neurons] if results else [],
            "answers": [dataclasses.asdict(answer) for answer in results.fit_answers] if results else [],
        },
        script=Markup(script),
        # The page runs this script and no other, whatever a model said.
        allowed=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_text(folder / PAGE, text)
    return folder / PAGE


@functools.cache
def _script() -> str:
    """Ours, with Vega-Lite in it: nothing is fetched when the page is opened."""
    return vl_convert.javascript_bundle((TEMPLATES / "report.js").read_text(encoding="utf-8"))


def pictures(results: Results) -> Iterator[Picture]:
    """All figures of a run."""
    for section in _pictures(Compared.one(results)).values():
        yield from section


def _pictures(compared: Compared) -> Mapping[str, Iterable[Picture]]:
    """Section -> its figures."""
    tidy = compared.runs[0].tidy
    sets = pictured(tidy) if compared.alone else []
    costs = (picture for name in sets for picture in cost_pictures(tidy, name))
    changes = (picture for name in sets for picture in change_pictures(tidy, name))
    return {
        "detection": detection_pictures(compared),
        "cause": (*costs, *alpha_pictures(compared), *changes),
        "neurons": (*neuron_pictures(compared), *effect_pictures(compared), *path_pictures(compared)),
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


def readable(response: ColouredResponse) -> Mapping[str, Any]:
    """A response as the page shows it: each token with its risk as a colour."""
    more = len(response.gold) - GOLD_SHOWN
    return {
        "dataset": say.plain(response.dataset),
        "question": response.question,
        "gold": ", ".join(response.gold[:GOLD_SHOWN]) + (f", and {more} more" if more > 0 else ""),
        "verdict": response.verdict.value,
        "score": say.percent(response.score, 0),
        "tokens": [
            {
                "text": text,
                "opacity": "0" if say.missing(risk) else f"{DEEPEST * min(max(risk, 0.0), 1.0):.3f}",
                "title": f"risk {say.number(risk, 2)}" + (", answer token" if in_answer else ""),
                "in_answer": in_answer,
            }
            for text, risk, in_answer in zip(response.tokens, response.risks, response.in_answer, strict=True)
        ],
    }


def _grouped(items: Iterable[Any], name: str) -> Mapping[str, list[Any]]:
    """Items by one of their attributes or keys, in the order in which its values come up."""
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(item[name] if isinstance(item, Mapping) else getattr(item, name), []).append(item)
    return groups


def _write_disagreements(results: Results, file: Path) -> None:
    """What several judges do not agree on; no file where they agree, or where there is only one."""
    if results.disagreements:
        with replacing(file) as fresh:
            write_jsonl(fresh, results.disagreements)
    else:
        file.unlink(missing_ok=True)


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
    environment.filters.update(terms=terms, safe_id=safe)
    return environment.get_template("report.html.jinja")
