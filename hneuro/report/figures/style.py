"""The house style of all figures, and how a figure becomes files and a piece of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hneuro.disk import replacing, safe_name, write_text

# Okabe and Ito's colours, which colour-blind readers can tell apart. On the page each is a CSS variable of this name.
INK, FAINT, GRID = "#24292f", "#6e7781", "#dfe3e8"
PAPER = "#ffffff"
H_NEURONS, RANDOM, MATCHED, OTHER = "#d55e00", "#0072b2", "#009e73", "#7a6f9b"
PAGE_COLOURS = {
    INK: "ink",
    FAINT: "faint",
    GRID: "grid",
    PAPER: "paper",
    H_NEURONS: "h-neurons",
    RANDOM: "random",
    MATCHED: "matched",
    OTHER: "other",
}

WIDTH, HEIGHT = 3.9, 2.55  # inches; drawn small so that the text stays readable on a phone
_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # names of data sets are data
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.columnspacing": 0.9,
    "legend.handlelength": 1.6,
    "legend.handletextpad": 0.5,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # text that can be searched and edited
    "svg.hashsalt": "hneuro",
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure on its way to the files: `alt` says in words what it shows."""

    name: str
    alt: str
    figure: Figure


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure as the page shows it: inline SVG that takes its colours from the page."""

    name: str
    alt: str
    svg: str


@contextmanager
def house_style() -> Iterator[None]:
    """Every figure is made and saved inside this."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def axes(height: float = HEIGHT, left: float = 0.55, legend: int = 0) -> Axes:
    """One set of axes on its own figure, with room for as many lines of a legend below it.

    Margins are in inches, so that figures side by side line up.
    """
    top, right, bottom = 0.3, 0.15, 0.45 + LEGEND_LINE * legend
    height += LEGEND_LINE * legend
    figure = Figure(figsize=(WIDTH, height))
    return figure.add_axes(
        (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, (height - bottom - top) / height)
    )


def figure_of(drawn: Axes) -> Figure:
    figure = drawn.figure
    assert isinstance(figure, Figure)
    return figure


def entitle(drawn: Axes, text: str) -> None:
    """A title from the left edge of the figure, where there is most room."""
    figure = figure_of(drawn)
    width, height = figure.get_size_inches()
    figure.text(0.08 / width, 1 - 0.08 / height, text, ha="left", va="top", fontsize=9.5, fontweight="bold")


def below(drawn: Axes, columns: int) -> None:
    """The legend, in the room that `axes` left for it."""
    figure_of(drawn).legend(
        loc="lower left", ncols=columns, bbox_to_anchor=(0.0, -0.01), fontsize=7.5, labelspacing=0.2
    )


def colour_of(condition: str) -> str:
    """Of a neuron set, a control or a baseline."""
    owner, _, kind = condition.partition("/")
    if not kind:
        return H_NEURONS if owner in ("h_neurons", "ranked") else OTHER
    return RANDOM if kind == "random" else MATCHED if kind.endswith("_matched") else FAINT


def safe(name: str) -> str:
    """A name as part of a file name and of an id."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in safe_name(name))


# Okabe and Ito's colours without the yellow; another dash pattern each time round, and markers for black and white.
_LINES = cycler(linestyle=["-", "--", "-.", ":"]) * (
    cycler(color=[H_NEURONS, RANDOM, MATCHED, "#cc79a7", "#56b4e9", "#e69f00", OTHER]) + cycler(marker=list("osD^vP<"))
)
LEGEND_LINE = 0.17  # inches


def lines() -> Iterator[dict[str, Any]]:
    """How the line of each run looks, without end."""
    yield from _LINES()


def save(picture: Picture, folder: Path) -> Drawn:
    """Writes NAME.png (white), NAME.svg and NAME.pdf (for papers), and returns the inline form for the page.

    The same figure gives the same bytes.
    """
    figure = picture.figure
    FigureCanvasAgg(figure)
    with replacing(folder / f"{picture.name}.png") as fresh:
        figure.savefig(fresh, format="png", dpi=160, facecolor=PAPER, metadata={"Software": None})
    FigureCanvasSVG(figure)
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    write_text(folder / f"{picture.name}.svg", written.getvalue())
    FigureCanvasPdf(figure)
    with replacing(folder / f"{picture.name}.pdf") as fresh:
        figure.savefig(fresh, format="pdf", metadata={"CreationDate": None})
    return Drawn(name=picture.name, alt=picture.alt, svg=inline(written.getvalue(), picture.name))


def inline(svg: str, name: str) -> str:
    """An SVG file as an element of the page: no header or style sheet, ids of its own, the page's colours and font."""
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg \1 aria-hidden="true">', svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)
    return re.sub("|".join(PAGE_COLOURS), lambda found: f"var(--{PAGE_COLOURS[found[0]]})", svg, flags=re.IGNORECASE)
