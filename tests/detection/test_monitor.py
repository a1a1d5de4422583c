"""The running risk, and treatments that act only while it is high."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from hneuro.contributions.extract import extract
from hneuro.contributions.regions import averages
from hneuro.detection.detector import Classifier
from hneuro.detection.monitor import RiskMonitor
from hneuro.models.edits import Scope, Treatment
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Generated, Job, generate
from hneuro.responses.rows import begin

PROMPTS = ((1, 3, 40, 41, 42, 2, 4), (1, 3, 99, 2, 4), (1, 3, *range(60, 80), 2, 4))
NEURONS = tuple(range(0, 192, 4))
DECODING = Decoding(temperature=0.0, max_new_tokens=8)


@dataclass(frozen=True)
class Says:
    """At risk as it is told, position after position; the last word holds on."""

    words: tuple[bool, ...]

    @contextmanager
    def watch(self, loaded: Loaded, rows: int) -> Iterator[Callable[[], Tensor]]:
        word = self.words[min(len(seen), len(self.words) - 1)]
        seen.append(word)
        yield lambda: torch.full((rows,), word)


seen: list[bool] = []


def made(model: LanguageModel, scope: Scope, words: tuple[bool, ...], alpha: float = 0.0) -> list[Generated]:
    seen.clear()
    treatment = Treatment(neurons=NEURONS, alpha=alpha, scope=scope)
    jobs = [Job(prompt, "", treatment) for prompt in PROMPTS]
    return generate(model.loaded, 0, jobs, DECODING, Says(words) if scope == "risky" else None)


def tokens(rows: list[Generated]) -> list[tuple[int, ...]]:
    return [row.token_ids for row in rows]


@pytest.fixture(scope="module")
def endless(language_model: LanguageModel) -> Iterator[LanguageModel]:
    config = language_model.loaded.model.generation_config
    before, config.eos_token_id = config.eos_token_id, None
    yield language_model
    config.eos_token_id = before


def test_what_acts_at_risk_only_lies_between_nothing_and_everywhere(endless: LanguageModel) -> None:
    untouched, generated = made(endless, "all", (), alpha=1.0), made(endless, "generated", ())
    assert tokens(made(endless, "risky", (False,))) == tokens(untouched)
    assert tokens(made(endless, "risky", (True,))) == tokens(generated)
    assert tokens(untouched) != tokens(generated) != tokens(made(endless, "all", ()))


def test_a_step_is_taken_back_when_it_is_risky(endless: LanguageModel) -> None:
    """Risky from the third token on: the first two are the untouched model's, whatever comes later."""
    mixed = made(endless, "risky", (False, False, True))
    untouched = made(endless, "all", (), alpha=1.0)
    assert [row.token_ids[:2] for row in mixed] == [row.token_ids[:2] for row in untouched]
    assert tokens(mixed) != tokens(untouched)


def test_only_rows_at_risk_are_touched(endless: LanguageModel) -> None:
    @dataclass(frozen=True)
    class First:
        @contextmanager
        def watch(self, loaded: Loaded, rows: int) -> Iterator[Callable[[], Tensor]]:
            yield lambda: torch.arange(rows) == 0

    jobs = [Job(prompt, "", Treatment(neurons=NEURONS, alpha=0.0, scope="risky")) for prompt in PROMPTS]
    rows = generate(endless.loaded, 0, jobs, DECODING, First())
    expected = [made(endless, "generated", ())[0], *made(endless, "all", (), alpha=1.0)[1:]]
    assert tokens(rows) == tokens(expected)


def test_the_risk_is_the_detector_s_score_of_the_last_position(language_model: LanguageModel) -> None:
    loaded, columns = language_model.loaded, (3, 70, 71, 150)
    one_hot = [averages([[len(prompt) - 1]], len(prompt)) for prompt in PROMPTS]
    cett = extract(loaded, PROMPTS, one_hot, 4096)[:, 0]
    weight = np.array([1.0, -2.0, 0.5, 3.0])
    detector = Classifier(columns=columns, weight=weight, bias=0.3, threshold=0.0)
    scores = detector.scores(cett)
    for threshold in (scores.min() - 1, *(np.sort(scores)[1:] + np.sort(scores)[:-1]) / 2, scores.max() + 1):
        monitor = RiskMonitor(Classifier(columns=columns, weight=weight, bias=0.3, threshold=threshold))
        with torch.inference_mode(), monitor.watch(loaded, len(PROMPTS)) as at_risk:
            begin(loaded, 0, [(prompt, Treatment()) for prompt in PROMPTS])
            assert at_risk().tolist() == (scores > threshold).tolist()
