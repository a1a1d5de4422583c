"""What is kept of questions with the same text but other options is not taken for theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import stored
from hneuro.records import Question, Verdict
from hneuro.responses.letters import LetterSampler
from hneuro.store import Store
from hneuro.verdicts.letter import LetterJudge


def test_other_options_are_asked_and_judged_anew(language_model: LanguageModel, tmp_path: Path) -> None:
    store, sampler = Store(tmp_path), LetterSampler()
    asked = Question(id="q", dataset="d", text="Which?", answers=("x",), entity="e", options=("x", "y"))
    turned = replace(asked, options=("y", "x"))
    responses = stored.sample(store, language_model, sampler, [asked], 1, 0)
    verdicts = {
        stored.judge(store, LetterJudge(), [question], responses).value[0].verdict for question in (asked, turned)
    }
    assert verdicts == {Verdict.CORRECT, Verdict.WRONG}
    longer = replace(asked, options=("x", "y", *"abcdefgh"))
    assert stored.sample(store, language_model, sampler, [longer], 1, 0).value[0].entropies != (
        responses.value[0].entropies
    )
