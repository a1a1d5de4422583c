"""The house style of all figures, and how a figure becomes files and a piece of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from pathlib import Path
from typing import Any

import vl_convert

from hneuro.disk import replacing, safe_name, write_text

# Okabe and Ito's colours, which colour-blind readers can tell apart. On the page each is a CSS variable of this name.
INK, FAINT, GRID = "#24292f", "#656d76", "#dfe3e8"
PAPER = "#ffffff"
H_NEURONS, RANDOM, MATCHED, OTHER = "#d55e00", "#0072b2", "#009e73", "#7a6f9b"
PAGE_COLOURS = {INK: "ink", FAINT: "faint", GRID: "grid", PAPER: "paper", H_NEURONS: "h-neurons", RANDOM: "random",
                MATCHED: "matched", OTHER: "other"}  # fmt: skip
DASHES = ([1, 0], [5, 2], [1, 2], [6, 2, 1, 2])
COLOURS = (H_NEURONS, RANDOM, MATCHED, "#cc79a7", "#56b4e9", "#e69f00", OTHER)

WIDTH, HEIGHT = 400, 200  # pixels; drawn small so that the text stays readable on a phone
LINKED = "https://vega.github.io/vega-datasets/"  # what vl-convert puts before a relative link
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_STYLE: Mapping[str, Any] = {
    "font": "Liberation Sans, Arial, sans-serif",  # vl-convert brings it along: the same files everywhere
    "aria": False,  # the figure as a whole has a text; its numbers are in the tables
    "background": PAPER, "padding": 4, "point": {"opacity": 1}, "view": {"stroke": None},
    "title": {"anchor": "start", "frame": "bounds", "fontSize": 12, "color": INK, "offset": 8},
    "axis": {"domainColor": FAINT, "gridColor": GRID, "labelColor": INK, "labelFlush": False, "labelFontSize": 10,
             "tickColor": FAINT, "titleColor": INK, "titleFontSize": 11, "titleFontWeight": "normal"},
    "legend": {"columnPadding": 18, "labelColor": INK, "orient": "bottom", "symbolOpacity": 1, "symbolStrokeWidth": 2,
               "symbolType": "stroke", "title": None},
}  # fmt: skip

Spec = dict[str, Any]  # (a part of) a figure in Vega-Lite
Look = tuple[str, Sequence[float]]  # colour and dashes
LOOKS: Mapping[str, Look] = {  # of the lines of controls
    "random": (RANDOM, DASHES[0]), "layer_matched": (MATCHED, DASHES[1]),
    "contribution_matched": (COLOURS[3], DASHES[2]), "norm_matched": (COLOURS[4], DASHES[3]),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure on its way to the files: `alt` says in words what it shows."""

    name: str
    alt: str
    figure: Spec


@dataclass(frozen=True, kw_only=True)
class Drawn(Picture):
    """A figure as the page shows it, in the page's colours: inline SVG, and what the page's script draws it from."""

    svg: str


def finished(figure: Spec, title: str = "", n: int | None = None) -> Spec:
    """With its title and the house style; `n`: how many answers it is about."""
    fit = {"width": WIDTH, "autosize": {"type": "fit-x", "contains": "padding"}} if "layer" in figure else {}
    return {"$schema": SCHEMA, "title": f"{title} (n = {n:,})" if n else title, "config": dict(_STYLE), **fit, **figure}


def layer(mark: str, records: Iterable[Spec] | None, encoding: Spec, **look: Any) -> Spec:
    """Marks of one kind, one a record; NaN becomes null, because JSON has no NaN. None: those of the whole figure."""
    values = [{key: None if value != value else value for key, value in record.items()} for record in records or ()]
    own = {} if records is None else {"data": {"values": values}}
    return own | {"mark": {"type": mark, **look}, "encoding": encoding}


def shown(layers: Iterable[Spec]) -> list[Spec]:
    """Those that have any marks."""
    return [one for one in layers if one["data"]["values"]]


def numeric(field: str, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", **more}


def nominal(field: str, **more: Any) -> Spec:
    return {"field": field, "type": "nominal", **more}


def tooltip(**titles: str) -> Spec:
    """What hovering shows: fields, and what they are called."""
    return {"tooltip": [nominal(field, title=title) for field, title in titles.items()]}


def upright(x: float) -> Spec:
    """The line where nothing has an effect."""
    at = numeric("x", scale={"zero": False})  # of its own it would make every axis begin at 0
    return layer("rule", [{"x": x}], {"x": at}, color=FAINT, strokeDash=[1.5, 2.5])


def looks() -> Iterator[Look]:
    """Of the line of each run, without end: another dash pattern each time round."""
    yield from ((colour, dash) for dash, colour in cycle(product(DASHES, COLOURS)))


def colour_of(condition: str) -> str:
    """Of a neuron set, a control or a baseline."""
    owner, _, kind = condition.partition("/")
    if not kind:
        return H_NEURONS if owner in ("h_neurons", "ranked") else OTHER
    return RANDOM if kind == "random" else MATCHED if kind.endswith("_matched") else FAINT


def safe(name: str) -> str:
    """A name as part of a file name and of an id."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in safe_name(name))


def save(picture: Picture, folder: Path) -> Drawn:
    """Writes NAME.png, NAME.svg and NAME.pdf, and returns what the page shows."""
    svg = svg_of(picture.figure)
    write_text(folder / f"{picture.name}.svg", re.sub(r"</?a\b[^>]*>", "", svg))  # links are relative to the page
    for ending, content in (("png", vl_convert.svg_to_png(svg, scale=2)), ("pdf", vl_convert.svg_to_pdf(svg))):
        with replacing(folder / f"{picture.name}.{ending}") as fresh:
            fresh.write_bytes(content)
    spec = json.loads(on_page(json.dumps(picture.figure)))
    return Drawn(name=picture.name, alt=picture.alt, figure=spec, svg=inline(svg, picture.name))


def small(figure: Spec, **more: Any) -> Spec:
    """A figure as wide as a tile of the first screen, without a title of its own."""
    return {key: part for key, part in figure.items() if key != "title"} | {"width": 250} | more


def svg_of(figure: Spec) -> str:
    """The same bytes every time: Vega numbers clips over all figures that it has drawn, and each of ours has one."""
    svg = vl_convert.vegalite_to_svg(figure, allowed_base_urls=[]).replace(LINKED, "")
    return re.sub(r'(?<=id=")clip\d+|(?<=url\(#)clip\d+', "clip", svg)


def inline(svg: str, name: str) -> str:
    """An SVG file as an element of the page: ids of its own, the page's colours and font."""
    svg = re.sub(r'<svg [^>]*?(width=.*? viewBox="[^"]*")[^>]*>', r"<svg \1>", svg, count=1)
    svg = re.sub(r' (font-family|role|aria-\w+)="[^"]*"', "", svg)
    return on_page(re.sub(r'\bid="|(?<=url\()#|(?<=href=")#', lambda found: f"{found[0]}{name}-", svg))


def on_page(text: str) -> str:
    """SVG or JSON with each colour of the house as the page's variable."""
    return re.sub(f'"({"|".join(PAGE_COLOURS)})"', lambda found: f'"var(--{PAGE_COLOURS[found[1]]})"', text)
