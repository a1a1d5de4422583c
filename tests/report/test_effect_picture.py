"""The picture of all neurons by how well they tell and how much they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import altair
import numpy as np

from hneuro.codec import from_plain, to_plain
from hneuro.neurons import NeuronSpace, ProbeRows
from hneuro.probe.attribution import Attribution, tells_and_does
from hneuro.report.compared import Compared
from hneuro.report.figures.effects import effect_pictures
from hneuro.report.figures.style import save
from hneuro.report.page import pictures
from hneuro.result_records import Results


def placed(results: Results) -> Results:
    """Of 1,000 neurons; the ten that do most are not among the ten that tell best."""
    draw = np.random.default_rng(0)
    does, tells = draw.standard_t(2, 1000), draw.uniform(0.3, 0.7, 1000)
    groups, y = np.array(["a"]), np.zeros(1, np.int8)
    rows = ProbeRows.of(does[None].astype(np.float32), y, groups, NeuronSpace(n_layers=1, width=1000))
    (probe,) = Attribution(counts=(10,)).path(rows, seed=0)
    tells[list(probe.positive)] = 0.31
    found = tells_and_does(tells, does, np.argsort(-tells), [probe], probe, (40, 12))
    return replace(results, tells_and_does=found)


def test_both_sets_stand_on_the_grid_of_all_neurons(results: Results, tmp_path: Path) -> None:
    (picture,) = effect_pictures(Compared.one(placed(results)))
    title = "Tell and do: 0 of 10 in both, 0.1 by chance (p = 1.000)"
    assert picture.figure["title"] == title
    assert picture.alt.startswith(title)
    grid, *_, points = picture.figure["layer"]
    assert sum(record["count"] for record in grid["data"]["values"]) == 1000
    of = {record["set"]: record["tells"] for record in points["data"]["values"] if record["does"] > 3}
    assert of["selected by effect"] == 0.31
    assert [record["set"] for record in points["data"]["values"]].count("tell best") == 10
    altair.Chart.from_dict(picture.figure, validate=True)
    assert "tell best" in save(picture, tmp_path).svg


def test_it_is_in_the_report_of_a_selection_by_effect_alone(results: Results) -> None:
    assert "tells_and_does" not in [picture.name for picture in pictures(results)]
    kept = from_plain(Results, to_plain(placed(results)))
    assert "tells_and_does" in [picture.name for picture in pictures(kept)]
