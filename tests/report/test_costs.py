"""What an intervention costs: one picture, and sentences on perplexity and on answers that were cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

from hneuro.report.costs import costs
from hneuro.report.figures.cost import cost_pictures
from hneuro.report.figures.style import Picture, house_style
from hneuro.report.findings import findings
from hneuro.report.page import write_report
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow, Results
from hneuro.statistics import rate

ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


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


@pytest.fixture(scope="session")
def costly(results: Results) -> Results:
    return replace(results, rows=(*results.rows, *cost_rows()))


@pytest.fixture
def drawn(costly: Results) -> Iterator[Picture]:
    with house_style():
        (picture,) = cost_pictures(Tidy(costly), "h_neurons")
        yield picture


def test_the_costs_stand_below_the_effect_on_one_axis(drawn: Picture) -> None:
    titles = [panel.get_title(loc="left") for panel in drawn.figure.axes]
    assert titles == [
        "complying answers: mean (thin: each of 4)",
        "right answers: known facts",
        "perplexity: text",
        "derailed: answers that repeat themselves",
        "refused harmless requests: harmless",
    ]
    assert {panel.get_xlim() for panel in drawn.figure.axes} == {drawn.figure.axes[0].get_xlim()}
    assert all(len(panel.collections) == 1 for panel in drawn.figure.axes), "each has its interval"
    assert drawn.name == "cost"
    assert "perplexity: text: 9.000 at alpha 0" in drawn.alt


def thick(picture: Picture, place: int) -> list[float]:
    (line,) = [line for line in picture.figure.axes[place].lines if line.get_marker() == "o"]
    return [float(y) for y in line.get_ydata()]


def test_a_mean_over_benchmarks_has_the_interval_of_independent_ones(drawn: Picture, costly: Results) -> None:
    tidy = Tidy(costly)
    names = tidy.datasets("causal", "compliance")
    first = [tidy.curve("compliance", name, "h_neurons", None)[0] for name in names]
    assert thick(drawn, 0)[0] == pytest.approx(sum(r.value for r in first) / 4)
    below = sqrt(sum((r.value - (r.low or 0)) ** 2 for r in first)) / 4
    corner = min(y for x, y in drawn.figure.axes[0].collections[0].get_paths()[0].vertices.tolist() if x == 0)
    assert corner == pytest.approx(thick(drawn, 0)[0] - below)
    assert len(drawn.figure.axes[0].lines) == 4 + 1 + 1  # benchmarks, the mean, the line at alpha = 1


def test_derailed_answers_are_counted_over_all_benchmarks(drawn: Picture) -> None:
    assert thick(drawn, 3)[-1] == pytest.approx(0.3 * 300 / 400)
    corner = max(y for x, y in drawn.figure.axes[3].collections[0].get_paths()[0].vertices.tolist() if x == 3)
    assert corner == pytest.approx(rate(90, 400).high)


def test_a_mean_has_no_point_that_a_benchmark_lacks(costly: Results) -> None:
    rows = tuple(r for r in costly.rows if (r.dataset, r.alpha) != ("doubt", 2.0))
    with house_style():
        (picture,) = cost_pictures(Tidy(replace(costly, rows=rows)), "h_neurons")
    assert len(thick(picture, 0)) == len(ALPHAS) - 1
    assert len(thick(picture, 1)) == len(ALPHAS)


def test_noise_does_not_look_like_a_cost(drawn: Picture) -> None:
    spans = [top - bottom for bottom, top in (panel.get_ylim() for panel in drawn.figure.axes)]
    assert spans[1] >= 0.3
    assert all(bottom >= -0.05 for bottom, _ in (panel.get_ylim() for panel in drawn.figure.axes))


def test_no_picture_where_no_cost_was_measured(results: Results) -> None:
    rows = tuple(r for r in results.rows if r.dataset != "known_facts")
    assert not [*cost_pictures(Tidy(replace(results, rows=rows)), "h_neurons")]
    assert not [*cost_pictures(Tidy(replace(results, rows=())), "h_neurons")]


def test_labels_of_the_panels_keep_apart(drawn: Picture) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawing = FigureCanvasAgg(drawn.figure).get_renderer()
    for panel in drawn.figure.axes:
        panel.apply_aspect()
        left, right = (
            text.get_window_extent(drawing)
            for text in (panel._left_title, panel._right_title)  # type: ignore[attr-defined]
        )
        assert left.x1 < right.x0
        assert right.x1 <= drawn.figure.bbox.x1


def test_the_page_has_the_costs_before_the_single_curves(costly: Results, tmp_path: Path) -> None:
    html = write_report(costly, tmp_path).read_text(encoding="utf-8")
    assert (tmp_path / "figures" / "cost.png").exists()
    assert html.index('aria-label="What scaling H-Neurons does') < html.index('aria-label="doubt, complying answers')
    assert html.count('aria-label="What scaling H-Neurons does and costs.') == 1


def text_of(results: Results, badge: str) -> list[str]:
    return [f.text for f in findings(Tidy(results)) if f.badge == badge]


def test_perplexity_is_told_from_alpha_1_to_both_ends(costly: Results, results: Results) -> None:
    (text,) = text_of(costly, "perplexity")
    assert "8.00 [7.60, 8.40] at alpha 1" in text
    assert "9.00 [8.60, 9.40] at alpha 0 (+12.5 %)" in text
    assert "12.00 [11.60, 12.40] at alpha 3 (+50.0 %)" in text
    assert "100 passages" in text
    assert text_of(results, "perplexity") == []
    one = tuple(r for r in costly.rows if r.metric != "perplexity" or r.alpha == 1.0)
    assert text_of(replace(costly, rows=one), "perplexity") == []


def cut(results: Results, dataset: str, shares: dict[float, float]) -> Results:
    def changed(row: ResultRow) -> ResultRow:
        own = (row.metric, row.dataset, row.condition) == ("truncated", dataset, "h_neurons")
        return replace(row, value=shares.get(row.alpha or 0.0, 0.0)) if own else row

    return replace(results, rows=tuple(map(changed, results.rows)))


def test_answers_that_were_cut_are_a_warning(results: Results) -> None:
    assert text_of(results, "cut answers") == []
    assert text_of(cut(results, "doubt", {2.5: 0.02}), "cut answers") == []
    many = cut(results, "doubt", {1.0: 0.04, 2.5: 0.021, 3.0: 0.31})
    (text,) = text_of(many, "cut answers")
    assert text.startswith("Doubt: up to 31 %")
    assert "H-Neurons at alpha 3, n = 240, 4 % of the untouched model's" in text
    (warning,) = [cost for cost in costs(Tidy(many)) if cost.badge == "cut answers"]
    assert (warning.heading, warning.tone) == ("Causal effect", "partly")
    (whole,) = text_of(cut(results, "doubt", {1.0: 0.5}), "cut answers")
    assert "(the untouched model, n = 240)" in whole


def test_controls_alone_are_no_warning(results: Results) -> None:
    rows = tuple(replace(r, value=0.5) if r.metric == "truncated" and "/" in r.condition else r for r in results.rows)
    assert text_of(replace(results, rows=rows), "cut answers") == []
