"""The page of a run: complete, self-contained, escaped, the same bytes; with partial results, too."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hneuro.codec import from_plain, to_plain
from hneuro.detection.scored import NO_REFUSAL
from hneuro.records import UserError, Verdict, Vote
from hneuro.report.findings import findings, headline
from hneuro.report.page import TEMPLATES, pictures, rows_frame, terms, write_report
from hneuro.report.tidy import Tidy
from hneuro.result_records import Disagreement, FrequentText, ResultRow, Results
from hneuro.tracking import LocalTracker

SECTIONS = ["findings", "neurons", "detection", "cause", "base", "funnel", "answers", "notes", "provenance"]


class Page(HTMLParser):
    """What a page consists of: section ids in order, element names, ids, addresses that it refers to, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.elements: set[str] = set()
        self.ids: list[str] = []
        self.closed = 0  # <details> that are not open
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.within = ""  # the element that the text is in, where it is none to read
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.add(tag)
        self.within = tag if tag in ("script", "style") else ""
        self.closed += tag == "details" and "open" not in found
        self.ids += [found["id"] or ""] if "id" in found else []
        self.sections += [found["id"] or ""] if found.get("class") == "body" else []
        self.addresses += [value or "" for name, value in attrs if name.rpartition(":")[2] in ("src", "href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    def handle_data(self, data: str) -> None:
        self.words += [] if self.within else [data]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(results: Results, folder: Path) -> Page:
    return Page(write_report(results, folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def html(report: Path) -> str:
    return (report / "report.html").read_text(encoding="utf-8")


def test_the_page_is_complete_and_self_contained(html: str, results: Results) -> None:
    page = Page(html)
    assert page.sections == SECTIONS
    assert {"#neurons", "#detection", "#cause", "#funnel"} <= set(page.addresses), "each tile leads to more"
    unfolded = sum(bool(finding.more) for finding in findings(Tidy(results)))
    assert page.closed == len(SECTIONS) + 4 + unfolded, "sections, the rule of each tile, and what more a finding has"
    assert 'class="absent"' not in html, "nothing is missing from a full run"
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert page.elements.isdisjoint({"iframe", "object", "embed", "base", "img"})
    assert not re.search(r"@import|url\((?!#)", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'" in html, "that script only"
    own = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|insertAdjacent|document\.write|eval", own)
    assert "ast: true" in own, "no code is made from the figures"
    assert len(html) < 4e6
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    assert "#word-CETT" in page.addresses, "words lead to the glossary"
    assert page.text.count(f"Note: {NO_REFUSAL}.") == 1
    assert "Selected here by: l1, C = 12 x the smallest that selects." in page.text


def test_files(report: Path, results: Results) -> None:
    for name in ("detection", "effects", "outcomes", "neurons", "path", "origin", "funnel"):
        assert {p.suffix for p in (report / "tables").glob(f"{name}.*")} == {".csv", ".md", ".tex"}
    pictures = {p.stem for p in (report / "figures").glob("*.png")}
    for ending in ("svg", "pdf"):
        assert pictures == {p.stem for p in (report / "figures").glob(f"*.{ending}")}
    needed = "path detection_people alpha_doubt_compliance cost change_compliance origin_transfer_people origin_drift"
    assert set(needed.split()) <= pictures
    frame = pd.read_parquet(report / "rows.parquet")
    assert len(frame) == len(results.rows)
    row = next(r for r in results.rows if r.metric == "change_compliance")
    kept = frame[(frame.metric == row.metric) & (frame.dataset == row.dataset) & (frame.condition == row.condition)]
    assert (kept.value.tolist(), kept.p_value.tolist()) == ([row.value], [row.p_value])
    assert rows_frame(()).dtypes.equals(rows_frame(results.rows).dtypes)


def test_what_a_model_said_is_escaped_and_coloured_by_its_risk(html: str) -> None:
    assert html.count("<script") == 2, "the figures, which are data, and our own"
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in html
    assert '<span class="answer" style="--risk: 0.744" title="risk 0.93, answer token"> glass</span>' in html
    assert "gold: clock maker, maker of clocks" in Page(html).text


def test_words_of_the_glossary_are_links_once_and_all_else_is_text() -> None:
    shown = terms("Control sets <b>of</b> a control set, 3 > 2: funnels & CETT")
    assert (
        re.sub("<a [^>]*>|</a>", "", shown)
        == "Control sets &lt;b&gt;of&lt;/b&gt; a control set, 3 &gt; 2: funnels &amp; CETT"
    )
    assert re.findall('href="#word-([^"]*)"', shown) == ["control_set", "funnel", "CETT"]
    assert 'title="other neurons, treated as the H-Neurons are"' in shown


@pytest.mark.usefixtures("no_figures")
def test_names_are_escaped_too(small: Results, tmp_path: Path) -> None:
    hostile = "</title><script>x</script>$a_b${{ 7 * 7 }}"
    named = replace(
        small,
        title=hostile,
        facts={hostile: hostile, "selection": hostile},
        rows=tuple(replace(r, dataset=hostile, note=hostile) for r in small.rows),
        funnel=tuple(replace(f, dataset=hostile, lost={hostile: 1}, note=hostile) for f in small.funnel),
        responses=tuple(replace(r, dataset=hostile) for r in small.responses),
    )
    html = write_report(named, tmp_path).read_text(encoding="utf-8")
    assert html.count("<script") == 2, "the figures, which are data, and our own"
    assert html.count("{{ 7 * 7 }}") > 10


@pytest.mark.usefixtures("no_figures")
def test_what_to_beware_of_and_what_to_read(small: Results, tmp_path: Path) -> None:
    """Notes of the funnel, frequent texts, and a file of what judges do not agree on, which goes with its results."""
    votes = (Vote(judge="rule", verdict=Verdict.CORRECT, reason="states 'paris'"),
             Vote(judge="llm", verdict=Verdict.WRONG, reason="<b>denies</b> it"))  # fmt: skip
    read = Disagreement(
        dataset="people", question_id="q1", question="Where?", gold=("Paris",), response="Not Paris\u2028", count=3,
        verdict=Verdict.UNJUDGED, votes=votes,
    )  # fmt: skip
    texts = (FrequentText(verdict=Verdict.WRONG, text="<b>in</b> Rome " + "x " * 200, count=9),
             FrequentText(verdict=Verdict.UNJUDGED, text="", count=3))  # fmt: skip
    step = replace(small.funnel[-1], note="more of one kind are lost")
    judged = replace(small, disagreements=(read,), frequent=texts, funnel=(*small.funnel, step))
    html = write_report(judged, tmp_path).read_text(encoding="utf-8")
    for part in ("&lt;b&gt;in&lt;/b&gt; Rome", "(empty)", " ...", "disagreements.jsonl", step.note):
        assert part in html
    (line,) = (tmp_path / "disagreements.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert from_plain(Disagreement, json.loads(line)) == read
    assert to_plain(from_plain(Results, json.loads(json.dumps(to_plain(judged))))) == to_plain(judged)
    assert "disagreements.jsonl" not in page_of(small, tmp_path).text
    assert not (tmp_path / "disagreements.jsonl").exists()


@pytest.fixture
def few(results: Results) -> Results:
    """Two figures: the neurons, and the detectors of one data set."""
    rows = tuple(r for r in results.rows if (r.stage, r.dataset) == ("detection", "people"))
    return replace(results, rows=rows, path=())


def test_the_same_bytes_and_nothing_of_an_earlier_result(few: Results, tmp_path: Path) -> None:
    """A report that is written again shows what is there now; files that others put there are theirs."""
    old, mine = (["tables/gone.csv", "figures/gone.pdf"], ["tables/notes.txt", "figures/sketch.txt"])
    for name in (*old, *mine):
        (tmp_path / "again" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "again" / name).write_text("mine")
    first, again = (write_report(few, tmp_path / name).parent for name in ("first", "again"))
    files = {file.relative_to(first).as_posix() for file in first.rglob("*") if file.is_file()}
    assert files >= {"figures/neurons.png", "figures/detection_people.svg", "tables/detection.tex", "rows.parquet"}
    assert {file.relative_to(again).as_posix() for file in again.rglob("*") if file.is_file()} == {*files, *mine}
    same = [name for name in files if not name.endswith(".pdf")]  # whose objects are in any order
    assert [name for name in same if (first / name).read_bytes() != (again / name).read_bytes()] == []


def test_links_are_replaced_and_never_written_through(few: Results, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "report"
    write_report(few, folder)
    files = [file for file in folder.rglob("*") if file.is_file()]
    outside.write_text("precious")
    for file in files:
        file.unlink()
        file.symlink_to(outside)
    LocalTracker().publish(folder, "run", {}, {})
    write_report(few, folder)
    assert len(files) > 20
    assert outside.read_text() == "precious"
    assert not any(file.is_symlink() for file in files)


@pytest.mark.usefixtures("no_figures")
def test_a_folder_in_the_place_of_a_file_is_named(small: Results, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report.html is a folder.*move it away"):
        write_report(small, tmp_path)


EMPTY = dict.fromkeys(("rows", "funnel", "path", "neurons", "neurons_by_layer", "responses"), ())


def only(*stages: str):
    return lambda results: {"rows": tuple(r for r in results.rows if r.stage in stages)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (only("detection", "origin"), "There was no alpha sweep."),
        (only("detection", "causal"), "There was no base model to compare with."),
        (only("causal"), "Detection was not measured."),
        (lambda r: {"neurons": (), "neurons_by_layer": (0, 0, 0, 0)}, "No neuron was selected."),
        (lambda r: {"neurons": (replace(r.neurons[0], drift_rank=None),), "neurons_by_layer": (0, 1)}, "H-Neurons"),
        (lambda r: {"stability": None, "path": r.path[:1], "facts": {}, "responses": ()}, "14 H-Neurons"),
        (lambda r: {"rows": tuple(replace(x, value=np.nan, low=np.nan, high=np.nan) for x in r.rows)}, "not measured"),
        (lambda r: {"rows": tuple(x for x in r.rows if "/" not in x.condition)}, "effect, without controls to compare"),
        (lambda r: {**EMPTY, "stability": None, "facts": {}}, "Nothing was measured in this run."),
    ],
)
@pytest.mark.usefixtures("no_figures")
def test_partial_results(small: Results, tmp_path: Path, change, said: str) -> None:
    partial = replace(small, **change(small))
    json.dumps([picture.figure for picture in pictures(partial)], allow_nan=False)
    page = page_of(partial, tmp_path)
    assert page.sections == SECTIONS
    assert said in page.text
    assert not re.search(r"\bnan\b|\bNone\b", page.text)
    for table in (tmp_path / "tables").glob("*.csv"):
        assert len(pd.read_csv(table).columns) >= 3
    assert headline(partial).startswith(partial.title)


@pytest.mark.usefixtures("no_figures")
def test_a_second_neuron_set_has_figures_and_verdicts_of_its_own(small: Results, tmp_path: Path) -> None:
    def ranked(row: ResultRow) -> ResultRow:
        return replace(row, condition=row.condition.replace("h_neurons", "ranked"))

    more = tuple(ranked(r) for r in small.rows if r.stage != "origin" and r.condition.startswith("h_neurons"))
    both = replace(small, rows=(*small.rows, *more))
    page = page_of(both, tmp_path)
    assert "alpha_doubt_compliance_ranked" in {picture.name for picture in pictures(both)}
    assert "ranked neurons, doubt, complying answers" in page.text
    effects = pd.read_csv(tmp_path / "tables" / "effects.csv")
    assert set(effects.neuron_set) == {"h_neurons", "ranked"}
    assert set(effects.controls.dropna()) == {20}
