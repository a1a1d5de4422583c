"""Sampling in rounds keeps what sampling everything keeps, and draws less."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import composed

from hneuro.config import build_experiment
from hneuro.pipeline.answers import identify
from hneuro.pipeline.run import Run
from hneuro.pipeline.sampling import one_each, repeated
from hneuro.store import Store

pytestmark = pytest.mark.usefixtures("organism")
WORDS = ["experiment=smoke", "sampling.samples=10", "sampling.decoding.temperature=1.5", "quiet=true"]


def organism(folder: Path, *words: str) -> Run:
    experiment = build_experiment(composed(*WORDS, f"output_dir={folder}", *words))
    return Run.of(experiment, Store(folder / "store"))


def test_a_question_whose_samples_disagree_is_not_sampled_further(tmp_path: Path) -> None:
    early, whole = organism(tmp_path / "early"), organism(tmp_path / "whole", "stop_early=false")
    kept, all_kept = identify(early), identify(whole)
    for part in ("fit", "select"):
        some, every = getattr(kept, part), getattr(all_kept, part)
        assert some.labelled == every.labelled
        for row in some.labelled:
            key = (row.question_id, row.sample)
            assert some.responses[key] == every.responses[key]
        assert some.spans == every.spans
        assert (some.found.values == every.found.values).all()
    assert (kept.known, kept.facts) == (all_kept.known, all_kept.facts)

    (drawn,) = [step for step in kept.trail.funnel if step.stage == "samples"]
    (all_drawn,) = [step for step in all_kept.trail.funnel if step.stage == "samples"]
    assert drawn.entered == all_drawn.entered == all_drawn.left
    assert drawn.left < 0.9 * drawn.entered
    assert sum(drawn.lost.values()) == drawn.entered - drawn.left
    assert len(kept.trail.judged) == drawn.left, "what is not drawn is not judged"


def test_more_samples_of_a_held_out_question_include_the_first(tmp_path: Path) -> None:
    run = organism(tmp_path, "mechanism.samples=3")
    asked = run.asked.parts["report"]
    first = one_each(run, run.chat, asked).value
    found = repeated(run, run.chat, asked)
    assert not isinstance(found, str)
    assert [(r.question_id, r.sample) for r in found.value] == [(q.id, n) for q in asked for n in range(3)]
    assert found.value[::3] == first
