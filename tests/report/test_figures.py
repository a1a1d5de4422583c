"""What the figures draw: values, intervals and every control; escaped, on the page's colours, the same bytes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.image import imread

from hneuro.report.compared import Compared
from hneuro.report.figures.alpha import SMALLEST_SPAN, alpha_pictures
from hneuro.report.figures.cost import cost_pictures
from hneuro.report.figures.forest import change_pictures, detection_pictures, origin_pictures
from hneuro.report.figures.path import path_pictures
from hneuro.report.figures.style import PAGE_COLOURS, Picture, axes, entitle, figure_of, house_style, inline, save
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow, Results
from hneuro.statistics import rate

ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def picture(text: str) -> Picture:
    drawn = axes()
    drawn.plot([0, 1], [0, 1])
    entitle(drawn, text)
    return Picture(name="one", alt="", figure=figure_of(drawn))


@pytest.fixture
def styled():
    with house_style():
        yield


def test_the_style_leaves_no_trace() -> None:
    before = dict(mpl.rcParams)
    with house_style():
        assert dict(mpl.rcParams) != before
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("text", ["plain", "<script>x</script>", "$\\frac$", "a & b", "100 % $", "Žluťoučký"])
def test_names_in_figures_are_data(styled, tmp_path: Path, text: str) -> None:
    svg = save(picture(text), tmp_path).svg
    assert "<script" not in svg
    assert text in "".join(ET.fromstring(svg.replace("xlink:", "")).itertext())
    assert svg.startswith("<svg viewBox=")
    assert not any(colour in svg for colour in PAGE_COLOURS)
    assert "http" not in svg
    assert imread(tmp_path / "one.png")[0, 0, :3].tolist() == [1, 1, 1]
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_inline_renames_references_too() -> None:
    svg = '<?xml?><svg width="3pt" viewBox="0 0 1 1" x="y"><g id="m"/><use xlink:href="#m" clip-path="url(#m)"/></svg>'
    assert inline(svg, "a") == (
        '<svg viewBox="0 0 1 1" aria-hidden="true"><g id="a-m"/><use xlink:href="#a-m" clip-path="url(#a-m)"/></svg>'
    )


def test_detection_pictures_share_a_scale_and_have_every_detector(styled, results: Results) -> None:
    pictures = list(detection_pictures(Compared.one(results)))
    assert [p.name for p in pictures] == ["detection_people", "detection_drugs", "detection_fabricated_drugs"]
    assert len({p.figure.axes[0].get_xlim() for p in pictures}) == 1
    assert len(pictures[0].figure.axes[0].get_yticklabels()) == 9
    assert "H-Neurons 0.861" in pictures[0].alt


def test_alpha_pictures_draw_every_control_and_never_zoom_into_noise(styled, results: Results) -> None:
    pictures = {p.name: p.figure.axes[0] for p in alpha_pictures(Compared.one(results))}
    assert len(pictures) == 4 * 2 + 1
    for drawn in pictures.values():
        assert len(drawn.lines) == 20 + 1 + 1  # controls, the set itself, the line at alpha = 1
        low, high = drawn.get_ylim()
        assert high - low >= SMALLEST_SPAN
    one, other = pictures["alpha_doubt_compliance"], pictures["alpha_doubt_p_comply"]
    assert one.get_ylim() == other.get_ylim()
    own = next(line for line in one.lines if line.get_marker() == "o")
    curve = Tidy(results).curve("compliance", "doubt", "h_neurons", None)
    assert (list(own.get_xdata()), list(own.get_ydata())) == ([r.alpha for r in curve], [r.value for r in curve])


def test_changes_stand_beside_each_draw_of_their_controls(styled, results: Results) -> None:
    drawn = {p.name: p.figure.axes[0] for p in change_pictures(Tidy(results), "h_neurons")}["change_compliance"]
    dots = [points.get_offsets() for points in drawn.collections]
    assert [len(each) for each in dots] == [1, 5, 5, 5, 5] * 4
    assert dots[0][0][0] == pytest.approx(23)


def test_origin_and_path(styled, results: Results) -> None:
    pictures = {p.name: p.figure.axes[0] for p in origin_pictures(Compared.one(results))}
    labels = [label.get_text() for label in pictures["origin_transfer_people"].get_yticklabels()]
    assert labels == ["H-Neurons", "random neurons", "own probe", "on chat"]
    assert [len(p.get_offsets()) for p in pictures["origin_drift"].collections] == [1, 14, *[1] * 7]
    (path,) = path_pictures(Compared.one(results))
    own = path.figure.axes[0].lines[0]
    assert list(own.get_ydata()) == [p.auroc for p in results.path]
    assert not list(path_pictures(Compared.one(replace(results, path=results.path[:1]))))


def at(metric: str, dataset: str, alpha: float, value: float, n: int = 100, half: float = 0.05) -> ResultRow:
    return ResultRow(
        stage="causal", metric=metric, dataset=dataset, condition="h_neurons", alpha=alpha, value=value,
        low=value - half, high=value + half, n=n,
    )  # fmt: skip


def cost_rows() -> Iterator[ResultRow]:
    for alpha in ALPHAS:
        yield at("perplexity", "text", alpha, 8.0 + (alpha - 1) ** 2, half=0.4)
        yield at("over_refusal", "harmless", alpha, 0.1 + 0.02 * alpha)
        yield at("degenerate", "doubt", alpha, 0.1 * alpha, n=300)
        yield at("degenerate", "known_facts", alpha, 0.0)


def thick(picture: Picture, place: int) -> list[float]:
    (line,) = [line for line in picture.figure.axes[place].lines if line.get_marker() == "o"]
    return [float(y) for y in line.get_ydata()]


def test_the_costs_stand_below_the_effect_on_one_axis(styled, results: Results) -> None:
    """A mean over benchmarks has the interval of independent ones, and no point that a benchmark lacks."""
    tidy = Tidy(replace(results, rows=(*results.rows, *cost_rows())))
    (drawn,) = cost_pictures(tidy, "h_neurons")
    panels = drawn.figure.axes
    assert len(panels) == 5
    assert {panel.get_xlim() for panel in panels} == {panels[0].get_xlim()}
    first = [tidy.curve("compliance", name, "h_neurons", None)[0] for name in tidy.datasets("causal", "compliance")]
    assert thick(drawn, 0)[0] == pytest.approx(sum(r.value for r in first) / 4)
    below = sqrt(sum((r.value - (r.low or 0)) ** 2 for r in first)) / 4
    corner = min(y for x, y in panels[0].collections[0].get_paths()[0].vertices.tolist() if x == 0)
    assert corner == pytest.approx(thick(drawn, 0)[0] - below)
    assert thick(drawn, 3)[-1] == pytest.approx(0.3 * 300 / 400), "derailed answers are counted over all benchmarks"
    corner = max(y for x, y in panels[3].collections[0].get_paths()[0].vertices.tolist() if x == 3)
    assert corner == pytest.approx(rate(90, 400).high)
    bottom, top = panels[1].get_ylim()
    assert top - bottom >= 0.3
    assert "perplexity: text: 9.000 at alpha 0" in drawn.alt
    rows = tuple(r for r in tidy.results.rows if (r.dataset, r.alpha) != ("doubt", 2.0))
    (lacking,) = cost_pictures(Tidy(replace(results, rows=rows)), "h_neurons")
    assert len(thick(lacking, 0)) == len(ALPHAS) - 1
    assert not [*cost_pictures(Tidy(replace(results, rows=())), "h_neurons")]
