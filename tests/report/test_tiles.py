"""The first screen: four tiles whose numbers are rows of the results, whatever was measured."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hneuro.report.causal_verdicts import changes
from hneuro.report.compared import Compared
from hneuro.report.findings import CAUSAL, DETECT, TRUST, WHICH, findings, warnings
from hneuro.report.page import write_report
from hneuro.report.tidy import Tidy
from hneuro.report.tiles import Tile, tiles
from hneuro.result_records import FunnelStep, ResultRow, Results

pytestmark = pytest.mark.usefixtures("no_figures")


def of(results: Results) -> dict[str, Tile]:
    return {tile.question: tile for tile in tiles(Compared.one(results))}


def row_of(results: Results, **fields: object) -> ResultRow:
    wanted = {"condition": "h_neurons", "seed": None, "alpha": None, **fields}
    (found,) = (r for r in results.rows if all(getattr(r, name) == value for name, value in wanted.items()))
    return found


@pytest.fixture(scope="module")
def null(results: Results) -> Results:
    """Nothing detects, nothing changes, and C was chosen on few answers."""
    rows = []
    for row in results.rows:
        if row.condition == "h_neurons" and row.metric == "auroc":
            row = replace(row, value=0.51, low=0.44, high=0.58, p_value=0.4)
        if row.condition == "h_neurons" and row.metric.startswith("change_"):
            row = replace(row, value=0.01, low=-0.04, high=0.06, p_value=0.7)
        rows.append(row)
    few = FunnelStep(stage="spans", dataset="select", unit="responses", entered=20, left=12, lost={"unread": 8})
    return replace(results, rows=tuple(rows), funnel=(*results.funnel, few))


def test_the_tiles_of_a_run_that_detects(results: Results) -> None:
    found = of(results)
    assert list(found) == [WHICH, DETECT, CAUSAL, TRUST]
    assert found[WHICH].number == str(len(results.neurons)) == "14"
    assert found[WHICH].spread == "Jaccard of two resamples 0.31 [0.11, 0.55], n = 1,225 pairs"
    assert "10 of 14 are selected in at least half of 50 resamples" in found[WHICH].text
    area = row_of(results, stage="detection", metric="auroc", dataset="people")
    assert (found[DETECT].found, found[DETECT].badge, found[DETECT].tone) == (area, "detects", "yes")
    assert found[DETECT].number == f"{area.value:.2f}"
    assert found[DETECT].spread == f"95 % [{area.low:.2f}, {area.high:.2f}], n = {area.n}"
    moved = row_of(results, stage="causal", metric="change_compliance", dataset="false_premise")
    assert (found[CAUSAL].found, found[CAUSAL].badge, found[CAUSAL].tone) == (moved, "effect, rises", "yes")
    assert found[CAUSAL].number == f"{100 * moved.value:+.0f}"
    assert found[CAUSAL].spread == f"95 % [{100 * moved.low:+.0f}, {100 * moved.high:+.0f}], n = {moved.n}"
    first, *_, last = (step for step in results.funnel if step.dataset == "fit")
    assert (found[TRUST].number, found[TRUST].unit, found[TRUST].badge) == ("1", "warning", "baseline")
    assert found[TRUST].spread == f"{100 * last.left / first.entered:.0f} % [47, 53] of 1,224 answers kept"
    assert found[TRUST].text.startswith("609 answers on fit could be used.")


def test_the_tiles_of_a_run_with_nulls(null: Results) -> None:
    found = of(null)
    assert (found[DETECT].number, found[DETECT].spread) == ("0.51", "95 % [0.44, 0.58], n = 300")
    assert (found[DETECT].badge, found[DETECT].tone) == ("does not detect", "no")
    assert (found[CAUSAL].number, found[CAUSAL].spread) == ("+1", "95 % [-4, +6], n = 240")
    assert (found[CAUSAL].badge, found[CAUSAL].tone) == ("no effect", "no")
    assert (
        "The clearest of 8 changes, which its interval does not allow for; 0 of them are effects that raise compliance"
        in found[CAUSAL].text
    )
    assert (found[TRUST].badge, found[TRUST].tone) == ("null result", "partly")
    said = warnings(Tidy(null))
    assert [w.badge for w in said[:3]] == ["null result", "null result", "few answers"]
    assert {found[DETECT].badge, found[CAUSAL].badge, found[TRUST].badge} <= {f.badge for f in findings(Tidy(null))}


def test_the_tiles_where_everything_optional_is_missing(results: Results, tmp_path: Path) -> None:
    bare = replace(results, rows=(), funnel=(), path=(), neurons=(), neurons_by_layer=(), stability=None, facts={},
                   responses=())  # fmt: skip
    found = of(bare)
    assert {(tile.number, tile.badge, str(tile.picture)) for tile in found.values()} == {("-", "not measured", "")}
    html = write_report(bare, tmp_path).read_text(encoding="utf-8")
    assert html.count('<article class="tile"') == 4
    assert 'class="warning"' not in html
    few = of(replace(bare, rows=results.rows, neurons=results.neurons))
    assert (few[WHICH].number, few[WHICH].spread) == ("14", "not resampled")
    assert few[TRUST].text == "No funnel was recorded."


def test_an_effect_that_rises_comes_before_a_smaller_p(results: Results) -> None:
    """Controls do as much as the smallest p: the tile shows the effect, and says of how many it is the clearest."""
    stronger = tuple(
        replace(r, p_value=1e-30) if (r.metric, r.dataset) == ("change_compliance", "doubt") and r.seed is None else r
        for r in results.rows
    )
    tidy = Tidy(replace(results, rows=stronger))
    assert min(changes(tidy, "h_neurons", "compliance"), key=lambda c: c.p_holm or 0.0).benchmark == "doubt"
    assert of(tidy.results)[CAUSAL].text.startswith("false premise, complying answers: ")


def test_what_is_on_the_page_is_the_tile(results: Results, null: Results, tmp_path: Path) -> None:
    for place, made in enumerate((results, null)):
        html = write_report(made, tmp_path / str(place)).read_text(encoding="utf-8")
        header = html[html.index("<header") : html.index("</header>")]
        shown = re.findall(r'class="value"><b>(.*?)</b>.*?class="spread">(.*?)</p>', header, flags=re.DOTALL)
        assert shown == [(tile.number, tile.spread) for tile in of(made).values()]
        assert header.count("<svg") == header.count("<details") == 4
        assert f"{warnings(Tidy(made))[0].badge}: {warnings(Tidy(made))[0].text}" in header
        assert "fewer than 40 answers" in header
        assert "more than 2 % of the answers" in header
