"""The report over runs as files: one page that needs nothing else, figures in three formats, nothing stale."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from hneuro.report.across.compared import Compared
from hneuro.report.across.folders import read_runs
from hneuro.report.across.page import Summary, write_summary
from hneuro.report.across.published import read_published

from .conftest import LABELINGS, MODELS, SETS, Write, own, results

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Section ids, element names and addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.elements: set[str] = set()
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.add(tag)
        if tag == "section":
            self.sections.append(found["id"] or "")
        self.addresses += [value or "" for name, value in attrs if name.rpartition(":")[2] in ("src", "href")]


@pytest.fixture(scope="module")
def folder(write: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: the report of one of them is there, the other has a name that no page should trust."""
    folder = tmp_path_factory.mktemp("page") / "runs"
    write(folder / "one", found="triviaqa")
    (folder / "one" / "report.html").write_text("")
    made = results(MODELS[1], "triviaqa", LABELINGS[0])
    write(folder / "other", HOSTILE, "triviaqa", made=replace(made, title=HOSTILE))
    return folder


@pytest.fixture(scope="module")
def summary(folder: Path) -> Summary:
    figures = folder.parent / "published.csv"
    figures.write_text(
        "model,stage,metric,dataset,condition,value,low,high,unit,source\n"
        f"{MODELS[0]},detection,accuracy,nq_open,h_neurons,70.7,,,%,Table 1\n"
    )
    for stale in ("figures/gone.pdf", "tables/gone.tex"):
        (folder / "report" / stale).parent.mkdir(parents=True, exist_ok=True)
        (folder / "report" / stale).write_text("")
    return write_summary(read_runs([folder]), read_published(figures), folder / "report")


def test_the_page_is_complete_and_needs_nothing_else(summary: Summary) -> None:
    text = summary.page.read_text(encoding="utf-8")
    page = Page(text)
    assert page.sections == ["published", "detection", "labelings", "path", "alpha", "origin", "runs", "notes"]
    assert "script" not in page.elements
    assert HOSTILE not in text
    assert set(page.elements) >= {"svg", "table"}
    others = [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert others == ["../one/report.html"], "the reports of the runs, where they are"
    assert not re.search(r"https?://(?!www\.w3\.org)", text)


def test_every_figure_is_there_in_three_formats(summary: Summary) -> None:
    figures = summary.page.parent / "figures"
    names = {file.stem for file in figures.iterdir()}
    assert names == {
        *(f"detection_{name}" for name in SETS), *(f"origin_transfer_{name}" for name in SETS), "origin_drift",
        "alpha_faitheval_context_compliance", "alpha_known_facts_accuracy", "path_auroc",
    }  # fmt: skip
    for name in names:
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert "<svg" in (figures / f"{name}.svg").read_text()
    curve = (figures / "alpha_faitheval_context_compliance.svg").read_text()
    assert f"{MODELS[0]} (n = 100)" in curve
    assert "&lt;script&gt;" in curve, "all models on one chart"


def test_every_table_is_there_in_three_formats_and_nothing_stale(summary: Summary) -> None:
    tables = summary.page.parent / "tables"
    assert {file.name for file in tables.iterdir()} == {
        f"{name}.{ending}" for name in summary.tables for ending in ("csv", "md", "tex")
    }
    assert "transfer" not in summary.tables
    assert "published" in summary.tables
    assert "+2.7" not in summary.text
    assert f"{100 * own(MODELS[0], 'triviaqa', 'nq_open', LABELINGS[0]) - 70.7:+.1f}" in summary.text


def test_the_rows_of_all_runs_are_in_one_file(summary: Summary, folder: Path) -> None:
    rows = pd.read_parquet(summary.page.parent / "rows.parquet")
    runs = Compared(read_runs([folder])).runs
    assert len(rows) == sum(len(run.results.rows) for run in runs if run.results)
    assert rows.columns[:4].tolist() == ["model", "found on", "labeling", "run"]
    kept = rows[(rows["model"] == MODELS[0]) & (rows.metric == "accuracy") & (rows.condition == "h_neurons")]
    assert kept[kept.dataset == "bioasq"].value.tolist()[0] == own(MODELS[0], "triviaqa", "bioasq", LABELINGS[0])


def test_the_same_runs_give_the_same_bytes(write: Write, tmp_path: Path) -> None:
    made = results(MODELS[0], "triviaqa", LABELINGS[0])
    kept = tuple(r for r in made.rows if r.metric in ("drift_rank", "slope_compliance"))
    write(tmp_path / "runs" / "one", made=replace(made, rows=kept, path=()))
    first, again = (
        write_summary(read_runs([tmp_path / "runs"]), (), tmp_path / name).page.parent for name in ("first", "again")
    )
    names = {file.relative_to(first) for file in first.rglob("*") if file.is_file()}
    assert {str(name) for name in names} >= {"figures/origin_drift.pdf", "tables/slopes.tex", "report.html"}
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes(), name
