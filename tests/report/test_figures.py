"""What the figures draw: values, intervals and every control; escaped, on the page's colours, the same bytes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import altair
import pytest
from PIL import Image

from hneuro.report.compared import Compared
from hneuro.report.figures.alpha import alpha_pictures
from hneuro.report.figures.cost import cost_pictures
from hneuro.report.figures.curves import SMALLEST_SPAN
from hneuro.report.figures.forest import change_pictures, detection_pictures, origin_pictures
from hneuro.report.figures.path import path_pictures
from hneuro.report.figures.style import PAGE_COLOURS, Picture, Spec, finished, inline, layer, numeric, save
from hneuro.report.page import pictures
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow, Results
from hneuro.statistics import rate

ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def layers(part: Spec) -> Iterator[Spec]:
    """The marks of a figure, from the back to the front."""
    for one in part.get("layer", part.get("vconcat", ())):
        yield from layers(one)
    if "mark" in part:
        yield part


def records(figure: Spec, mark: str, **look: Any) -> list[Spec]:
    """What the marks of a kind are drawn from."""
    of = [one for one in layers(figure) if one["mark"] | look | {"type": mark} == one["mark"]]
    return [record for one in of for record in one["data"]["values"]]


def own(figure: Spec) -> list[float]:
    return [point["value"] for point in records(figure, "point", filled=True)]


@pytest.mark.parametrize("text", ["plain", "<script>x</script>", "$\\frac$", "a & b", "100 % $", "Žluťoučký"])
def test_names_in_figures_are_data(tmp_path: Path, text: str) -> None:
    points = layer(
        "point", [{"x": 1.0, "set": text}], {"x": numeric("x"), "color": {"field": "set", "type": "nominal"}}
    )
    drawn = save(Picture(name="one", alt="", figure=finished({"layer": [points]}, text)), tmp_path)
    assert "<script" not in drawn.svg
    assert "".join(ET.fromstring(drawn.svg.replace("xlink:", "")).itertext()).count(text) == 2
    assert drawn.svg.startswith("<svg viewBox=")
    assert not any(f'"{colour}"' in drawn.svg + json.dumps(drawn.spec) for colour in PAGE_COLOURS)
    assert "http" not in drawn.svg
    with Image.open(tmp_path / "one.png") as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_inline_renames_references_too() -> None:
    svg = '<svg width="3" viewBox="0 0 1 1" x="y"><g id="m" role="x"/><use xlink:href="#m" clip-path="url(#m)"/></svg>'
    assert inline(svg, "a") == (
        '<svg viewBox="0 0 1 1"><g id="a-m"/><use xlink:href="#a-m" clip-path="url(#a-m)"/></svg>'
    )


def test_every_figure_is_valid_vega_lite(results: Results) -> None:
    for picture in pictures(results):
        altair.Chart.from_dict(picture.figure, validate=True)
        json.dumps(picture.figure, allow_nan=False)


def test_detection_pictures_share_a_scale_and_have_every_detector(results: Results) -> None:
    found = list(detection_pictures(Compared.one(results)))
    assert [p.name for p in found] == ["detection_people", "detection_drugs", "detection_fabricated_drugs"]
    assert (
        len(
            {str(mark["encoding"]["x"]["scale"]) for p in found for mark in layers(p.figure) if "y" in mark["encoding"]}
        )
        == 1
    )
    assert len(records(found[0].figure, "point")) == 9
    assert "H-Neurons 0.861" in found[0].alt


def test_alpha_pictures_draw_every_control_and_never_zoom_into_noise(results: Results) -> None:
    found = {p.name: p.figure for p in alpha_pictures(Compared.one(results))}
    assert len(found) == 4 * 2 + 1
    limits = {}
    for name, figure in found.items():
        assert len({record["line"] for record in records(figure, "line", strokeWidth=1)}) == 20
        assert [record["x"] for record in records(figure, "rule")] == [1.0]
        (limits[name],) = {
            tuple(mark["encoding"]["y"]["scale"]["domain"]) for mark in layers(figure) if "y" in mark["encoding"]
        }
        assert limits[name][1] - limits[name][0] >= SMALLEST_SPAN - 1e-9
    assert limits["alpha_doubt_compliance"] == limits["alpha_doubt_p_comply"]
    curve = Tidy(results).curve("compliance", "doubt", "h_neurons", None)
    assert own(found["alpha_doubt_compliance"]) == [r.value for r in curve]
    band = records(found["alpha_doubt_compliance"], "area")
    assert [(point["x"], point["low"], point["high"]) for point in band] == [(r.alpha, r.low, r.high) for r in curve]
    assert band[0]["n"] == "240"
    assert band[0]["said"].endswith("]")


def test_changes_stand_beside_each_draw_of_their_controls(results: Results) -> None:
    figure = {p.name: p.figure for p in change_pictures(Tidy(results), "h_neurons")}["change_compliance"]
    draws = [record["row"] for record in records(figure, "circle")]
    assert [draws.count(row) for row in dict.fromkeys(draws)] == [5] * 4 * 4
    assert records(figure, "point")[0]["x"] == pytest.approx(23)


def test_labels_have_the_height_of_the_longest(results: Results) -> None:
    """Three lines of one label do not run into the next."""
    name = "a benchmark of a laboratory with a name that is longer than two lines of a label"
    rows = tuple(replace(r, dataset=name if r.dataset == "doubt" else r.dataset) for r in results.rows)
    heights = [
        next(change_pictures(Tidy(replace(results, rows=some)), "h_neurons")).figure["height"]
        for some in (results.rows, rows)
    ]
    assert heights[1] - heights[0] == 4 * 5 * 2 * 11


def test_origin_and_path(results: Results) -> None:
    found = {p.name: p.figure for p in origin_pictures(Compared.one(results))}
    labels = [record["label"] for record in records(found["origin_transfer_people"], "point")]
    assert labels == ["H-Neurons", "random neurons", "own probe", "on chat"]
    assert len(records(found["origin_drift"], "circle")) == 14
    assert len(records(found["origin_drift"], "point")) == 8
    (path,) = path_pictures(Compared.one(results))
    assert own(path.figure)[:8] == [p.auroc for p in results.path]
    assert path.figure["title"] == "On the select split (ring: chosen: 7 neurons)"
    single = tuple(replace(p, positive=1) for p in results.path)
    assert next(path_pictures(Compared.one(replace(results, path=single)))).figure["title"].endswith(": 1 neuron)")
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


def test_the_costs_stand_below_the_effect_on_one_axis(results: Results) -> None:
    """A mean over benchmarks has the interval of independent ones, and no point that a benchmark lacks."""
    tidy = Tidy(replace(results, rows=(*results.rows, *cost_rows())))
    (drawn,) = cost_pictures(tidy, "h_neurons")
    panels = drawn.figure["vconcat"]
    assert len(panels) == 5
    assert {panel["width"] for panel in panels} == {panels[0]["width"]}
    first = [tidy.curve("compliance", name, "h_neurons", None)[0] for name in tidy.datasets("causal", "compliance")]
    assert own(panels[0])[0] == pytest.approx(sum(r.value for r in first) / 4)
    below = sqrt(sum((r.value - (r.low or 0)) ** 2 for r in first)) / 4
    assert records(panels[0], "area")[0]["low"] == pytest.approx(own(panels[0])[0] - below)
    assert own(panels[3])[-1] == pytest.approx(0.3 * 300 / 400), "derailed answers are counted over all benchmarks"
    assert records(panels[3], "area")[-1]["high"] == pytest.approx(rate(90, 400).high)
    bottom, top = next(layers(panels[1]["layer"][1]))["encoding"]["y"]["scale"]["domain"]
    assert top - bottom >= 0.3
    assert "perplexity: text: 9.000 at alpha 0" in drawn.alt
    rows = tuple(r for r in tidy.results.rows if (r.dataset, r.alpha) != ("doubt", 2.0))
    (lacking,) = cost_pictures(Tidy(replace(results, rows=rows)), "h_neurons")
    assert len(own(lacking.figure["vconcat"][0])) == len(ALPHAS) - 1
    assert not [*cost_pictures(Tidy(replace(results, rows=())), "h_neurons")]
