"""The report of a run: one HTML page, and the tables, figures and rows beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hneuro.codec import write_jsonl
from hneuro.disk import replacing, write_text
from hneuro.report.figures.alpha import alpha_pictures, change_pictures
from hneuro.report.figures.calibration import calibration_pictures
from hneuro.report.figures.cost import cost_pictures
from hneuro.report.figures.detection import detection_pictures
from hneuro.report.figures.growth import growth_pictures
from hneuro.report.figures.layers import layer_pictures
from hneuro.report.figures.mechanism import signal_pictures, sparsity_pictures, transfer_pictures
from hneuro.report.figures.moments import moment_pictures
from hneuro.report.figures.origin import origin_pictures
from hneuro.report.figures.path import path_pictures
from hneuro.report.figures.stability import neuron_path_pictures, stability_pictures
from hneuro.report.figures.style import Drawn, Picture, house_style, save
from hneuro.report.findings import findings
from hneuro.report.reading import readable
from hneuro.report.tables.all import all_tables
from hneuro.report.tables.table import Table, write
from hneuro.report.tidy import Tidy
from hneuro.report.wording import condition_name
from hneuro.result_records import ResultRow, Results

TEMPLATES = Path(__file__).parent / "templates"
FACTS_ON_TOP = 6
WRITTEN = (".csv", ".md", ".tex", ".png", ".svg")


def write_report(results: Results, folder: Path) -> Path:
    """Writes report.html, tables/, figures/, rows.parquet and, of several judges, disagreements.jsonl into `folder`.

    The same results give the same bytes, and nothing of an earlier result stays. The page comes last: where it stands,
    everything beside it is complete. Returns the path of the page.
    """
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    tidy = Tidy(results)
    made = write_tables(tidy, folder)
    with house_style():
        drawn = {section: _saved(pictures, figures) for section, pictures in _pictures(tidy).items()}
    remove_others(figures, {picture.name for pictures in drawn.values() for picture in pictures})
    page = folder / "report.html"
    text = page_template("report.html.jinja").render(
        results=results,
        facts_on_top=dict(islice(results.facts.items(), FACTS_ON_TOP)),
        notes={stage: tidy.notes(stage) for stage in ("funnel", "detection", "origin")},
        findings=_grouped(findings(tidy), "heading"),
        tables=made,
        figures=drawn,
        neuron_sets=[(name, condition_name(name)) for name in _pictured(tidy)],
        responses=_grouped([readable(response) for response in results.responses], "dataset"),
    )
    write_text(page, text)
    return page


def write_tables(tidy: Tidy, folder: Path) -> Mapping[str, Table]:
    """Writes all of it but the page and its figures, in which most of the time goes. Returns the tables by name."""
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    made = all_tables(tidy)
    for table in made.values():
        write(table, tables)
    with replacing(folder / "rows.parquet") as fresh:
        rows_frame(tidy.results.rows).to_parquet(fresh, index=False)
    _write_disagreements(tidy.results, folder / "disagreements.jsonl")
    remove_others(tables, made)
    return made


def _write_disagreements(results: Results, file: Path) -> None:
    """What several judges do not agree on; no file where they agree, or where there is only one."""
    if results.disagreements:
        with replacing(file) as fresh:
            write_jsonl(fresh, results.disagreements)
    else:
        file.unlink(missing_ok=True)


def remove_others(folder: Path, names: Collection[str], endings: Collection[str] = WRITTEN) -> None:
    """What an earlier result left here under names that this one does not have."""
    for file in folder.iterdir():
        if file.stem not in names and file.suffix in endings:
            file.unlink(missing_ok=True)


def rows_frame(rows: Iterable[ResultRow]) -> pd.DataFrame:
    """All rows, a column a field, with types that do not depend on which rows there are."""
    types = {"value": "float64", "low": "float64", "high": "float64", "alpha": "float64", "p_value": "float64"}
    fields = [f.name for f in dataclasses.fields(ResultRow)]
    frame = pd.DataFrame([dataclasses.asdict(row) for row in rows], columns=fields)
    return frame.astype({f: types.get(f, {"n": "int64", "seed": "Int64"}.get(f, "str")) for f in fields})


def pictures(results: Results) -> Iterator[Picture]:
    """All figures of a run, to be drawn in the house style."""
    for section in _pictures(Tidy(results)).values():
        yield from section


def _pictures(tidy: Tidy) -> Mapping[str, Iterable[Picture]]:
    """Section -> its figures; those of each neuron set have a section of their own."""
    sets = _pictured(tidy)
    return {
        "layers": layer_pictures(tidy.results),
        "path": (*path_pictures(tidy.results.path), *neuron_path_pictures(tidy.results)),
        "stability": stability_pictures(tidy.results),
        "detection": (*detection_pictures(tidy), *growth_pictures(tidy)),
        "calibration": calibration_pictures(tidy),
        "signals": signal_pictures(tidy),
        "transfer": transfer_pictures(tidy),
        "sparsity": sparsity_pictures(tidy),
        "origin": (*origin_pictures(tidy), *moment_pictures(tidy)),
        **{f"cost/{name}": cost_pictures(tidy, name) for name in sets},
        **{f"alpha/{name}": alpha_pictures(tidy, name) for name in sets},
        **{f"change/{name}": change_pictures(tidy, name) for name in sets},
    }


def _pictured(tidy: Tidy) -> list[str]:
    """The neuron sets that have controls to stand before; of the others the numbers are in the tables."""
    controlled = [name for name in tidy.neuron_sets if any(tidy.controls("causal", b, name) for b in tidy.benchmarks)]
    return controlled or tidy.neuron_sets


def _saved(pictures: Iterable[Picture], folder: Path) -> list[Drawn]:
    return [save(picture, folder) for picture in pictures]


def _grouped(items: Iterable[Any], name: str) -> Mapping[str, list[Any]]:
    """Items by one of their attributes, in the order in which its values come up."""
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(getattr(item, name), []).append(item)
    return groups


def page_template(name: str) -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # the page shows what a model said
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own figures are the only markup that is let through; matplotlib escapes the names in them.
    environment.filters["svg"] = lambda drawn: Markup(drawn.svg)
    return environment.get_template(name)
