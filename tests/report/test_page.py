from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hneuro.detection.scored import NO_REFUSAL
from hneuro.records import UserError
from hneuro.report.page import rows_frame, write_report
from hneuro.report.tables.headline import headline
from hneuro.result_records import ResultRow, Results
from hneuro.tracking import LocalTracker

SECTIONS = [
    "findings", "headline", "funnel", "neurons", "path", "stability", "detection", "mechanism", "alpha", "origin",
    "responses", "notes", "provenance",
]  # fmt: skip
TABLES = (
    "headline_detection", "headline_causal", "detection", "causal", "changes", "arms", "alphas", "slopes", "unparsed",
    "origin", "moments", "drift", "neurons", "path", "funnel", "length", "comparisons", "neuron_paths", "frequencies",
    "overlaps", "mechanism",
    "mechanism_remaining", "mechanism_transfer", "mechanism_overlaps", "mechanism_sparsity",
)  # fmt: skip


class Page(HTMLParser):
    """What a page consists of: section ids in order, element names, ids, addresses that it refers to, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.elements: set[str] = set()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.add(tag)
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag == "section":
            self.sections.append(found["id"] or "")
        self.addresses += [value or "" for name, value in attrs if name.rpartition(":")[2] in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def folder(results: Results, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    assert write_report(results, folder) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_every_section_in_order(html: str) -> None:
    page = Page(html)
    assert page.sections == SECTIONS
    assert {f"#{name}" for name in SECTIONS} <= set(page.addresses)
    assert "was not" not in page.text.partition("How to read this H-Neurons")[0], "nothing is missing from a full run"


def test_files(folder: Path) -> None:
    for name in TABLES:
        assert {p.suffix for p in (folder / "tables").glob(f"{name}.*")} == {".csv", ".md", ".tex"}
    pictures = {p.stem for p in (folder / "figures").glob("*.png")}
    assert pictures == {p.stem for p in (folder / "figures").glob("*.svg")}
    needed = (
        "layers path_quality detection_people alpha_doubt_compliance alpha_doubt_p_comply alpha_known_facts_accuracy "
        "change_compliance origin_transfer origin_drift moments_people moments_drift neuron_paths stability"
    )
    assert set(needed.split()) <= pictures


def test_self_contained(html: str) -> None:
    page = Page(html)
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert page.elements.isdisjoint({"script", "iframe", "object", "embed", "base", "img"})
    assert not re.search(r"@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_ids_are_unique(html: str) -> None:
    ids = Page(html).ids
    assert len(ids) == len(set(ids))


def test_model_output_is_escaped(html: str) -> None:
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in html
    assert '<script>alert("x")</script><img src="http://evil.example/x.png">' in Page(html).text


def test_nothing_of_an_earlier_result_stays(results: Results, small: Results, tmp_path: Path) -> None:
    """A report that is written again shows what is there now; files that others put there are theirs."""
    write_report(results, tmp_path / "again")
    mine = [tmp_path / "again" / name for name in ("tables/notes.txt", "figures/sketch.pdf")]
    for file in mine:
        file.write_text("mine")
    write_report(small, tmp_path / "again")
    write_report(small, tmp_path / "anew")
    again, anew = (
        {p.relative_to(folder) for p in folder.rglob("*")} for folder in (tmp_path / "again", tmp_path / "anew")
    )
    assert again - anew == {p.relative_to(tmp_path / "again") for p in mine}
    assert not anew - again


def test_the_criterion_of_the_choice_is_named(small: Results, tmp_path: Path) -> None:
    named = replace(small, facts={**small.facts, "choice": "best accuracy on the select split"})
    html = write_report(named, tmp_path).read_text(encoding="utf-8")
    assert "Chosen: best accuracy on the select split." in Page(html).text


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
    assert "<script" not in html
    assert html.count("{{ 7 * 7 }}") > 20


def test_risk_colours_carry_their_value(html: str) -> None:
    assert '<span class="answer" style="--risk: 0.744" title="risk 0.93, answer token"> glass</span>' in html
    assert '<span style="--risk: 0.248" title="risk 0.31"> Tomas</span>' in html
    assert "gold: clock maker, maker of clocks" in Page(html).text


def test_the_funnel_says_what_to_beware_of(small: Results, html: str, tmp_path: Path) -> None:
    assert "Note: fit, spans" not in Page(html).text
    step = replace(small.funnel[-1], stage="spans", dataset="fit", note="more of one kind are lost")
    noted = write_report(replace(small, funnel=(*small.funnel, step)), tmp_path)
    assert "Note: fit, spans: more of one kind are lost." in Page(noted.read_text(encoding="utf-8")).text
    assert (tmp_path / "tables" / "funnel.csv").read_text(encoding="utf-8").splitlines()[-1].endswith(step.note)


def test_what_could_not_be_measured_of_made_up_things_is_said_once(html: str) -> None:
    note = f"Note: {NO_REFUSAL}."
    assert Page(html).text.count(note) == 1


def test_the_selection_is_named(html: str) -> None:
    assert "Selected here by: l1, C = 12 x the smallest that selects." in Page(html).text


def test_rows_parquet_holds_every_row(folder: Path, results: Results) -> None:
    frame = pd.read_parquet(folder / "rows.parquet")
    assert len(frame) == len(results.rows)
    row = next(r for r in results.rows if r.metric == "change_compliance")
    kept = frame[(frame.metric == row.metric) & (frame.dataset == row.dataset) & (frame.condition == row.condition)]
    assert kept.value.tolist() == [row.value]
    assert kept.p_value.tolist() == [row.p_value]


def test_rows_frame_has_the_same_types_without_rows(results: Results) -> None:
    assert rows_frame(()).dtypes.equals(rows_frame(results.rows).dtypes)


def test_links_are_replaced_and_never_written_through(small: Results, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "report"
    write_report(small, folder)
    files = [file for file in folder.rglob("*") if file.is_file()]
    outside.write_text("precious")
    for file in files:
        file.unlink()
        file.symlink_to(outside)
    LocalTracker().publish(folder, "run", {}, {})
    write_report(small, folder)
    assert len(files) > 20
    assert outside.read_text() == "precious"
    assert not any(file.is_symlink() for file in files)


def test_a_folder_in_the_place_of_a_file_is_named(small: Results, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report.html is a folder.*move it away"):
        write_report(small, tmp_path)


def test_same_results_same_bytes(folder: Path, results: Results, tmp_path: Path) -> None:
    write_report(results, tmp_path)
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert [f for f in files if (folder / f).read_bytes() != (tmp_path / f).read_bytes()] == []


EMPTY = {
    "rows": (), "funnel": (), "path": (), "neurons": (), "neurons_by_layer": (), "stability": None, "responses": (),
}  # fmt: skip


def only(*stages: str):
    return lambda results: {"rows": tuple(r for r in results.rows if r.stage in stages)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (only("detection", "origin"), "The alpha sweep was not part of this run."),
        (only("detection", "causal"), "There was no base model to compare with in this run."),
        (only("causal"), "Detection was not measured in this run."),
        (lambda r: {"responses": ()}, "No responses were kept for reading in this run."),
        (lambda r: {"neurons": (), "neurons_by_layer": (0, 0, 0, 0)}, "No neuron was selected."),
        (lambda r: {"neurons": (replace(r.neurons[0], drift_rank=None),), "neurons_by_layer": (0, 1)}, "H-Neurons"),
        (lambda r: {"stability": None}, "Stability was not measured in this run."),
        (lambda r: {"path": r.path[:1]}, "The path over the strength of the selection."),
        (lambda r: {"facts": {}}, "Provenance"),
        (lambda r: {"rows": tuple(replace(x, value=np.nan, low=np.nan, high=np.nan) for x in r.rows)}, "not measured"),
        (lambda r: {"rows": tuple(x for x in r.rows if "/" not in x.condition)}, "effect, without controls to compare"),
        (lambda r: EMPTY, "Nothing was measured in this run."),
    ],
    ids=["no causal", "no origin", "no detection", "no responses", "no neurons", "one neuron", "no stability",
         "one strength", "no facts", "all NaN", "no controls", "nothing"],
)  # fmt: skip
def test_partial_results(small: Results, tmp_path: Path, change, said: str) -> None:
    partial = replace(small, **change(small))
    page = Page(write_report(partial, tmp_path).read_text(encoding="utf-8"))
    assert page.sections == SECTIONS
    assert said in page.text
    assert not re.search(r"\bnan\b|\bNone\b", page.text)
    assert (tmp_path / "tables" / "neurons.csv").exists()
    for table in (tmp_path / "tables").glob("*.csv"):
        assert len(pd.read_csv(table).columns) >= 3
    assert headline(partial).startswith(partial.title)


def test_a_second_neuron_set_has_figures_and_verdicts_of_its_own(small: Results, tmp_path: Path) -> None:
    def ranked(row: ResultRow) -> ResultRow:
        return replace(row, condition=row.condition.replace("h_neurons", "ranked"))

    more = tuple(ranked(r) for r in small.rows if r.stage != "origin" and r.condition.startswith("h_neurons"))
    page = write_report(replace(small, rows=(*small.rows, *more)), tmp_path)
    assert (tmp_path / "figures" / "alpha_doubt_compliance_ranked.png").exists()
    assert "<h3>Ranked neurons</h3>" in page.read_text(encoding="utf-8")
    slopes = pd.read_csv(tmp_path / "tables" / "slopes.csv")
    assert set(slopes.neuron_set) == {"h_neurons", "ranked"}
    assert set(slopes.controls) == {20}
