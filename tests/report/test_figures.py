"""What the figures draw: values, intervals and every control; escaped, on the page's colours, the same bytes."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
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
from hneuro.report.figures.selection import selection_pictures
from hneuro.report.figures.style import PAGE_COLOURS, Picture, Spec, finished, inline, layer, numeric, save, svg_of
from hneuro.report.page import pictures
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow, Results

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


@pytest.mark.parametrize("text", ["<script>x</script>", "$\\frac$ & 100 %", "Žluťoučký"])
def test_names_in_figures_are_data(tmp_path: Path, text: str) -> None:
    points = layer(
        "point", [{"x": 1.0, "set": text}], {"x": numeric("x"), "color": {"field": "set", "type": "nominal"}}
    )
    drawn = save(Picture(name="one", alt="", figure=finished({"layer": [points]}, text)), tmp_path)
    assert "<script" not in drawn.svg
    assert "".join(ET.fromstring(drawn.svg.replace("xlink:", "")).itertext()).count(text) == 2
    assert not any(f'"{colour}"' in drawn.svg + json.dumps(drawn.figure) for colour in PAGE_COLOURS)
    assert "http" not in drawn.svg
    with Image.open(tmp_path / "one.png") as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_inline_renames_references_too() -> None:
    svg = '<svg x="y" {}><g id="m" role="x"/><use xlink:href="#m" clip-path="url(#m)"/></svg>'
    size = 'width="3" height="1" viewBox="0 0 1 1"'
    named = f'<svg {size}><g id="a-m"/><use xlink:href="#a-m" clip-path="url(#a-m)"/></svg>'
    assert inline(svg.format(size), "a") == named


def test_every_kind_of_figure_is_valid_vega_lite(results: Results) -> None:
    """The schema takes long over data, of which all records of a layer are alike."""
    kinds = {picture.name.partition("_")[0]: picture.figure for picture in pictures(results)}
    assert set(kinds) == {"detection", "cost", "alpha", "change", "neurons", "path", "origin"}
    for figure in kinds.values():
        json.dumps(figure, allow_nan=False)
        for one in layers(brief := deepcopy(figure)):
            one["data"]["values"] = one["data"]["values"][:1]
        altair.Chart.from_dict(brief, validate=True)


def test_detection_pictures_share_a_scale_and_have_every_detector(results: Results) -> None:
    found = list(detection_pictures(Compared.one(results)))
    assert found[0].figure["title"] == "people (n = 300)"
    assert [p.name for p in found] == ["detection_people", "detection_drugs", "detection_fabricated_drugs"]
    marks = [mark["encoding"] for picture in found for mark in layers(picture.figure)]
    assert len({str(encoding["x"]["scale"]) for encoding in marks if "y" in encoding}) == 1
    assert min(map(float, re.findall(r">(\d\.\d)<", svg_of(found[0].figure)))) == 0.5, "no empty half"
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


def test_origin_and_path(results: Results) -> None:
    found = {p.name: p.figure for p in origin_pictures(Compared.one(results))}
    labels = [record["label"] for record in records(found["origin_transfer_people"], "point")]
    assert labels == ["H-Neurons", "random neurons", "own probe", "on chat"]
    assert len(records(found["origin_drift"], "circle")) == 14
    assert [record["label"] for record in records(found["origin_drift"], "point")] == ["mean", "same layers"]
    *_, path = selection_pictures(Compared.one(results))
    assert own(path.figure)[:8] == [p.auroc for p in results.path]
    assert path.figure["title"] == "On the select split (ring: chosen: 7 neurons)"
    assert [p.name for p in selection_pictures(Compared.one(replace(results, path=results.path[:1])))] == ["neurons"]


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
    """A panel a measure, a line a data set; nothing where no cost was measured."""
    tidy = Tidy(replace(results, rows=(*results.rows, *cost_rows())))
    (drawn,) = cost_pictures(tidy, "h_neurons")
    panels = drawn.figure["vconcat"]
    titles = [panel["title"]["text"] for panel in panels]
    assert [title.partition(":")[0] for title in titles] == [
        "complying answers", "right answers", "perplexity", "derailed", "refused harmless requests",
    ]  # fmt: skip
    assert {panel["width"] for panel in panels} == {panels[0]["width"]}
    curves = [tidy.curve("compliance", name, "h_neurons", None) for name in tidy.datasets("causal", "compliance")]
    assert own(panels[0]) == [row.value for curve in curves for row in curve]
    assert [(r["low"], r["high"]) for r in records(panels[0], "area")] == [(r.low, r.high) for c in curves for r in c]
    assert len(records(panels[3], "point", filled=True)) == 2 * len(ALPHAS)
    bottom, top = next(layers(panels[1]["layer"][1]))["encoding"]["y"]["scale"]["domain"]
    assert top - bottom >= 0.3
    assert "perplexity: text 9.000 at alpha 0" in drawn.alt
    assert "doubt (n = 300)" in str(panels[0]["layer"])
    assert not [*cost_pictures(Tidy(replace(results, rows=())), "h_neurons")]
