"""The four pictures of the first screen: small SVG in the page's own colours, read with the sentence below each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from hneuro.report.wording import HasInterval, missing
from hneuro.result_records import FunnelStep, NeuronRow, ResultRow

WIDTH, HEIGHT, LEFT, BASE = 260, 96, 74, 80  # of the picture, and where labels end and the axis is
EDGE = 6


@dataclass(frozen=True, kw_only=True)
class Line:
    """A value with its interval; `band`: that of a control, which spreads over its sets."""

    found: HasInterval
    label: str = ""
    colour: str = "h-neurons"
    band: bool = False


def neuron_map(neurons: Sequence[NeuronRow], layers: int, width: int) -> Markup:
    """Each neuron at its layer (across) and index (up); the heavier, the larger."""
    heaviest = max((n.weight for n in neurons), default=1.0) or 1.0
    inside = WIDTH - 2 * EDGE
    dots = [
        f'<circle cx="{EDGE + inside * (n.layer + 0.5) / layers:.1f}" cy="{BASE - 6 - 68 * n.index / width:.1f}" '
        f'r="{1.6 + 2.6 * max(n.weight, 0.0) / heaviest:.1f}" fill="var(--h-neurons)" fill-opacity="0.75"/>'
        for n in neurons
    ]
    box = f'<rect x="1" y="1" width="{WIDTH - 2}" height="{BASE}" rx="3" fill="none" stroke="var(--grid)"/>'
    ends = _text(1, HEIGHT - 4, "layer 0") + _text(WIDTH - 1, HEIGHT - 4, f"layer {layers - 1}", "end")
    return _svg([box, *dots, ends], f"{len(neurons)} neurons over {layers} layers")


def interval_lines(lines: Sequence[Line], rest: float | None, show: Callable[[float], str]) -> Markup:
    """A line each with its interval on one axis; `rest`: where nothing has an effect; `show`: numbers on the axis."""
    known = [line for line in lines if not missing(line.found.value)]
    ends = [v for line in known for v in (line.found.value, line.found.low, line.found.high) if v is not None]
    ends = [v for v in (*ends, rest) if v is not None and not missing(v)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    left = LEFT if any(line.label for line in known) else EDGE
    parts = []
    if rest is not None:
        at = _across(rest, low, high, left)
        parts.append(f'<path d="M{at} 2V{BASE}" stroke="var(--faint)" stroke-dasharray="2 3"/>')
        if abs(float(at) - (left + WIDTH) / 2) < (WIDTH - left) / 2 - 40:  # where it is clear of both ends
            parts.append(_text(float(at), HEIGHT - 4, show(rest), "middle"))
    for place, line in enumerate(known):
        parts += _interval(line, BASE * (place + 0.5) / len(known), low, high, left)
    parts += [_text(left, HEIGHT - 4, show(low)), _text(WIDTH - EDGE, HEIGHT - 4, show(high), "end")]
    label = "; ".join(f"{line.label} {show(line.found.value)}".strip() for line in known)
    return _svg(parts, label)


def _interval(line: Line, y: float, low: float, high: float, left: int) -> list[str]:
    found, colour = line.found, f"var(--{line.colour})"
    parts = [_text(0, y + 4, line.label)] if line.label else []
    if found.low is not None and found.high is not None and not (missing(found.low) or missing(found.high)):
        look = 'stroke-width="12" stroke-opacity="0.3"' if line.band else 'stroke-width="2"'
        ends = f"M{_across(found.low, low, high, left)} {y:.1f}H{_across(found.high, low, high, left)}"
        parts.append(f'<path d="{ends}" stroke="{colour}" {look}/>')
    at = _across(found.value, low, high, left)
    return [*parts, f'<circle cx="{at}" cy="{y:.1f}" r="{3 if line.band else 4}" fill="{colour}"/>']


def alpha_curve(own: Sequence[ResultRow], controls: Sequence[Sequence[ResultRow]]) -> Markup:
    """What the neurons do over alpha with its interval, before the band from the least to the most of the controls."""
    alphas = [row.alpha or 0.0 for row in own]
    drawn = {a: [r.value for c in controls for r in c if r.alpha == a and not missing(r.value)] for a in alphas}
    band = [(a, min(values), max(values)) for a, values in drawn.items() if values]
    bounds = [(r.alpha or 0.0, r.low, r.high) for r in own if r.low is not None and r.high is not None]
    spread = [(alpha, low, high) for alpha, low, high in bounds if not missing(low + high)]
    known = [row.value for row in own] + [v for _, *ends in (*band, *spread) for v in ends]
    low, high, first, last = min(known), max(known), alphas[0], alphas[-1]

    def at(alpha: float, value: float) -> str:
        share = 0.5 if high == low else (value - low) / (high - low)
        return f"{_across(alpha, first, last, 34)} {BASE - 4 - (BASE - 8) * share:.1f}"

    def area(ends: Sequence[tuple[float, float, float]], colour: str) -> str:
        around = [at(a, top) for a, _, top in ends] + [at(a, bottom) for a, bottom, _ in reversed(ends)]
        return f'<path d="M{"L".join(around)}Z" fill="var(--{colour})" fill-opacity="0.22"/>'

    parts = [f'<path d="M{_across(1.0, first, last, 34)} 2V{BASE}" stroke="var(--faint)" stroke-dasharray="2 3"/>']
    parts += [area(ends, colour) for ends, colour in ((band, "random"), (spread, "h-neurons")) if ends]
    line = "L".join(at(a, row.value) for a, row in zip(alphas, own, strict=True))
    parts.append(f'<path d="M{line}" stroke="var(--h-neurons)" stroke-width="2.2" fill="none"/>')
    parts += [_text(0, 12, f"{100 * high:.0f} %"), _text(0, BASE, f"{100 * low:.0f} %")]
    parts += [_text(34, HEIGHT - 4, f"alpha {first:g}"), _text(WIDTH - EDGE, HEIGHT - 4, f"{last:g}", "end")]
    return _svg(parts, "; ".join(f"{100 * r.value:.0f} % at alpha {a:g}" for a, r in zip(alphas, own, strict=True)))


def funnel_bars(steps: Sequence[FunnelStep]) -> Markup:
    """What entered, and below it what each step left."""
    bars = [("entered", steps[0].entered), *((step.stage, step.left) for step in steps)]
    pitch, inside = (HEIGHT - 4) / len(bars), WIDTH - LEFT - 40
    parts = []
    for place, (name, count) in enumerate(bars):
        y, wide = 2 + pitch * place, inside * count / max(steps[0].entered, 1)
        last = "h-neurons" if place == len(bars) - 1 else "other"
        parts.append(f'<rect x="{LEFT}" y="{y:.1f}" width="{wide:.1f}" height="{pitch * 0.66:.1f}" rx="2" '
                     f'fill="var(--{last})" fill-opacity="0.75"/>')  # fmt: skip
        parts += [_text(0, y + pitch * 0.6, name), _text(LEFT + wide + 4, y + pitch * 0.6, f"{count:,}")]
    return _svg(parts, ", ".join(f"{name} {count:,}" for name, count in bars))


def _across(value: float, low: float, high: float, left: int) -> str:
    share = 0.5 if high == low else (value - low) / (high - low)
    return f"{left + EDGE + (WIDTH - left - 3 * EDGE) * share:.1f}"


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], label: str) -> Markup:
    head = f'<svg class="small" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")  # numbers, and text that `escape` has seen
