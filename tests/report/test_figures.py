from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.image import imread

from hneuro.report.figures.alpha import SMALLEST_SPAN, alpha_pictures
from hneuro.report.figures.calibration import calibration_pictures
from hneuro.report.figures.detection import detection_pictures
from hneuro.report.figures.forest import ForestRow, forest
from hneuro.report.figures.growth import growth_pictures
from hneuro.report.figures.origin import origin_pictures
from hneuro.report.figures.path import path_pictures
from hneuro.report.figures.stability import neuron_path_pictures, stability_pictures
from hneuro.report.figures.style import PAGE_COLOURS, Picture, axes, entitle, figure_of, house_style, inline, save
from hneuro.report.tidy import Tidy
from hneuro.result_records import Results


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


def test_png_is_opaque_and_svg_is_well_formed(styled, tmp_path: Path) -> None:
    save(picture("plain"), tmp_path)
    pixels = imread(tmp_path / "one.png")
    assert pixels[0, 0, :3].tolist() == [1, 1, 1]
    assert pixels.shape[2] == 3 or pixels[..., 3].min() == 1
    assert ET.parse(tmp_path / "one.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("text", ["<script>x</script>", "$\\frac$", "a & b", "100 % $", "Žluťoučký"])
def test_names_in_figures_are_data(styled, tmp_path: Path, text: str) -> None:
    svg = save(picture(text), tmp_path).svg
    assert "<script" not in svg
    assert text in "".join(ET.fromstring(svg.replace("xlink:", "")).itertext())


def test_inline_svg_takes_colours_and_ids_from_the_page(styled, tmp_path: Path) -> None:
    svg = save(picture("plain"), tmp_path).svg
    assert svg.startswith("<svg viewBox=")
    assert not any(colour in svg for colour in PAGE_COLOURS)
    assert "http" not in svg
    assert 'id="one-figure_1"' in svg


def test_inline_renames_references_too() -> None:
    svg = '<?xml?><svg width="3pt" viewBox="0 0 1 1" x="y"><g id="m"/><use xlink:href="#m" clip-path="url(#m)"/></svg>'
    assert inline(svg, "a") == (
        '<svg viewBox="0 0 1 1" aria-hidden="true"><g id="a-m"/><use xlink:href="#a-m" clip-path="url(#a-m)"/></svg>'
    )


def test_detection_pictures_share_a_scale(styled, results: Results) -> None:
    limits = {p.figure.axes[0].get_xlim() for p in detection_pictures(Tidy(results))}
    assert len(limits) == 1


def test_growth_pictures_show_each_size_and_the_neurons(styled, results: Results) -> None:
    pictures = {p.name: p for p in growth_pictures(Tidy(results))}
    assert set(pictures) == {f"growth_{name}" for name in ("people", "drugs", "fabricated_drugs")}
    random, _, own = pictures["growth_people"].figure.axes[0].lines[1:]
    assert list(random.get_xdata()) == [1, 10, 100]
    assert (list(own.get_xdata()), list(own.get_ydata())) == ([14], [0.861])
    assert "100 random 0.76, 14 H-Neurons 0.86" in pictures["growth_people"].alt


def test_calibration_pictures_set_what_is_stated_against_what_is(styled, results: Results) -> None:
    (one,) = calibration_pictures(Tidy(results))
    curves = [line for line in one.figure.axes[0].lines if line.get_marker() in ("o", "s")]
    assert [list(c.get_xdata()) for c in curves] == [[0.05, 0.2, 0.6]] * 2
    assert list(curves[0].get_ydata()) == [0.05, 0.2, 0.6]


def test_alpha_pictures_draw_every_control_and_never_zoom_into_noise(styled, results: Results) -> None:
    pictures = {p.name: p.figure.axes[0] for p in alpha_pictures(Tidy(results), "h_neurons")}
    assert len(pictures) == 4 * 2 + 1
    for drawn in pictures.values():
        assert len(drawn.lines) == 20 + 1 + 1  # controls, the set itself, the line at alpha = 1
        low, high = drawn.get_ylim()
        assert high - low >= SMALLEST_SPAN
    one, other = pictures["alpha_doubt_compliance"], pictures["alpha_doubt_p_comply"]
    assert one.get_ylim() == other.get_ylim()


def test_alpha_picture_shows_the_rates(styled, results: Results) -> None:
    tidy = Tidy(results)
    drawn = next(p for p in alpha_pictures(tidy, "h_neurons") if p.name == "alpha_doubt_compliance").figure.axes[0]
    own = next(line for line in drawn.lines if line.get_marker() == "o")
    curve = tidy.curve("compliance", "doubt", "h_neurons", None)
    assert list(own.get_xdata()) == [r.alpha for r in curve]
    assert list(own.get_ydata()) == [r.value for r in curve]


def test_every_neuron_has_its_dot_and_every_h_neuron_its_path(styled, results: Results) -> None:
    (one,) = stability_pictures(results)
    others, own = (points.get_offsets() for points in one.figure.axes[0].collections)
    assert (len(others), len(own)) == (30, 14)
    assert results.stability is not None
    assert sorted(y for _, y in own) == sorted(f.frequency for f in results.stability.neurons if f.rank)
    (paths,) = neuron_path_pictures(results)
    drawn = [line.get_ydata() for line in paths.figure.axes[0].lines if len(line.get_ydata()) == len(results.path)]
    assert [tuple(line) for line in drawn] == [n.path for n in results.neurons]
    assert list(stability_pictures(replace(results, stability=None))) == []
    assert list(neuron_path_pictures(replace(results, neurons=()))) == []


def test_drift_ranks_are_drawn_as_a_distribution_and_by_part(styled, results: Results) -> None:
    pictures = {p.name: p.figure.axes[0] for p in origin_pictures(Tidy(results))}
    drawn = pictures["origin_drift_distribution"]
    lines = {str(line.get_label()): line for line in drawn.lines}
    assert list(lines["all neurons"].get_ydata()) == [0, 1]
    ranks = sorted(n.drift_rank for n in results.neurons if n.drift_rank is not None)
    x, y = lines["H-Neurons"].get_data()
    assert list(x) == [0.0, *ranks, 1.0]
    assert list(y) == [*(pytest.approx(k / 14) for k in range(15)), 1.0]
    (band,) = (one.get_paths()[0].vertices for one in drawn.collections)
    low, high = (end(y for x, y in band if x == pytest.approx(0.5)) for end in (min, max))
    assert (low, high) == (pytest.approx(3 / 14), pytest.approx(11 / 14)), "binomial: 14 neurons, half of them"
    labels = [label.get_text() for label in pictures["origin_drift"].get_yticklabels()]
    assert labels == ["each H-Neuron"] + [
        label for part in ("up and down", "up", "down", "gate") for label in (f"mean, {part}", "same layers")
    ]


def test_suppression_is_drawn_where_it_was_measured(styled, results: Results) -> None:
    def labels(path) -> list[str]:
        picture = next(iter(path_pictures(path)))
        return [str(text.get_text()) for text in picture.figure.axes[0].get_legend().get_texts()]

    assert "known, suppressed" in labels(results.path)
    assert "known, suppressed" not in labels([replace(p, suppressed_accuracy=None) for p in results.path])


def test_forest_draws_each_row_once(styled) -> None:
    rows = [
        ForestRow(label="own", colour="#d55e00", value=0.8, low=0.7, high=0.9),
        ForestRow(label="random", colour="#0072b2", value=0.6, draws=(0.5, 0.6, 0.7)),
    ]
    drawn = forest(rows, "title", "AUROC", 0.5)
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["own", "random"]
    dots = [points.get_offsets().tolist() for points in drawn.collections]
    assert [x for x, _ in dots[0]] == [0.8]
    assert [x for x, _ in dots[1]] == [0.5, 0.6, 0.7]
