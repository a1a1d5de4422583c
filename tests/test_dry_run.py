"""What a rehearsal says of the sizes behind what it can see."""

from __future__ import annotations

from pathlib import Path

from hneuro.causal.grid import SweepSettings, columns_of
from hneuro.commands.dry_run import Need, total


def test_controls_are_counted_where_they_are_swept() -> None:
    ends = columns_of(SweepSettings())
    assert ends == {
        "untouched": 1,
        "of neuron sets": 6,
        "of controls": 4 * 5 * 2,
        "of negative neurons": 0,
        "of variants": 0,
    }
    everywhere = columns_of(SweepSettings(control_alphas="all", ranked=5, negative=False))
    assert (everywhere["of controls"], everywhere["of neuron sets"]) == (2 * 4 * 5 * 6, 12)
    variants = columns_of(SweepSettings(variants=("mean",), controls=()))
    assert variants["of variants"] == 1


def need(seconds: float | None) -> Need:
    return Need(stage="responses", place=Path("a"), bytes=1_000_000, seconds=seconds)


def test_a_total_says_what_it_does_not_know() -> None:
    assert "3 results, 15 s and 1 of unknown time, 3.0 MB" in total(4, [need(10.0), need(5.0), need(None)])
    assert "1 results, unknown, " in total(1, [need(None)])
    assert "0 results, 0 s, " in total(1, [])
