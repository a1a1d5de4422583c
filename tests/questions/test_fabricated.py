"""Made-up things, asked about like real ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from published import converted

from hneuro.questions.base import normal_text
from hneuro.questions.fabricated import KINDS, LENGTHS, QUESTION_WORDS, WORDS, FabricatedQuestions, question_word
from hneuro.questions.recorded import RecordedQuestions
from hneuro.records import Question, UserError


@pytest.fixture(scope="module")
def questions() -> tuple[Question, ...]:
    return FabricatedQuestions().load().questions


def test_as_many_as_asked_of_all_kinds_alike(questions: Sequence[Question]) -> None:
    assert len(questions) == 1200
    kinds = Counter(q.meta["kind"] for q in questions)
    assert len(kinds) == 20
    assert max(kinds.values()) < 1.3 * min(kinds.values())
    assert not any(q.answerable or q.answers for q in questions)


def test_no_surface_form_is_there_twice(questions: Sequence[Question]) -> None:
    """Neither a question, nor a name, nor any made-up word of a name."""
    words = [word for q in questions for word in q.meta["coined"]]
    for forms in (
        [normal_text(q.text) for q in questions],
        [q.id for q in questions],
        [q.entity for q in questions],
        words,
    ):
        assert len(set(forms)) == len(forms)
    for q in questions:
        assert q.entity in q.text
        assert all(word in q.entity.lower() for word in q.meta["coined"])
        assert not re.search(r"[{}]|\s\s|\s[?,]|,[?,]", q.text), q.text


def shares(values: Sequence[str]) -> dict[str, float]:
    return {value: count / len(values) for value, count in Counter(values).items()}


def test_they_are_as_long_as_real_questions_and_ask_with_the_same_words(questions: Sequence[Question]) -> None:
    """Against the counts of 3,500 questions of TriviaQA."""
    lengths = np.array([len(q.text.split()) for q in questions])
    real = np.repeat(list(LENGTHS), list(LENGTHS.values()))
    grid = np.arange(4, 30)
    gap = np.abs([(lengths <= n).mean() - (real <= n).mean() for n in grid]).max()
    assert gap < 0.06  # Kolmogorov-Smirnov distance
    assert abs(lengths.mean() - real.mean()) < 0.3
    asked = shares([question_word(q.text) for q in questions])
    assert set(asked) == set(QUESTION_WORDS)
    assert sum(abs(asked[word] - WORDS[word] / 1000) for word in WORDS) / 2 < 0.005  # total variation distance


def test_the_form_of_real_questions_is_the_one_that_was_counted(
    recorded_data: Path, tmp_path: Path, questions: Sequence[Question]
) -> None:
    file = converted(recorded_data / "gemma3_4b" / "triviaqa_consistency_samples.jsonl", tmp_path / "r.jsonl")
    real = [q.text for q in RecordedQuestions(path=str(file)).load().questions]
    counted = Counter(min(len(text.split()), max(LENGTHS)) for text in real)
    assert counted == LENGTHS
    asked = shares([question_word(text) for text in real])
    assert all(abs(asked[word] - share / 1000) < 0.02 for word, share in WORDS.items())
    known = set(re.findall(r"\w+", " ".join(real).casefold()))
    assert not any(word in known for q in questions for word in q.meta["coined"])


def test_the_same_everywhere_and_always() -> None:
    """Pinned: another Python, numpy or machine gives the same questions."""
    found = FabricatedQuestions(count=50).load()
    assert found.origin.fingerprint == "bf91dfd7ad524ae06c481ca3d22f17605fa86315200e54ed69e8af81a053aa2f"
    assert found.origin.source == "made up: 50 questions, seed 0"
    assert found == FabricatedQuestions(count=50).load()
    other = FabricatedQuestions(count=50, seed=1).load()
    assert not {q.text for q in other.questions} & {q.text for q in found.questions}


def test_every_kind_asks_in_every_common_way() -> None:
    for kind in KINDS.values():
        assert all(ask.count("{name}") == 1 for ask in kind.asks)
        asked = Counter(question_word(ask) for ask in kind.asks)
        assert set(asked) <= set(QUESTION_WORDS)
        assert min(asked["which"], asked["what"], asked["who"], 2 * asked["how"]) >= 2, kind.name


def test_what_is_asked_is_not_told(questions: Sequence[Question]) -> None:
    assert not [q.text for q in questions if re.match(r"(When|What year|In which year)\b.*\b\d{4}\b", q.text)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"count": 0}, "count must be between 1 and 20,000"),
        ({"kinds": ("dragon",)}, "there is no kind 'dragon'; there are animal, plant"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FabricatedQuestions(**settings)  # type: ignore[arg-type]


def test_more_than_can_be_made_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a language of a single onset, vowel and link."""
    for part in ("ONSETS", "VOWELS", "LINKS"):
        monkeypatch.setattr(f"hneuro.questions.fabricated.{part}", ("a",))
    with pytest.raises(UserError, match=r"nonexist: only \d\d of 100 questions .* \(drug\): ask for fewer"):
        FabricatedQuestions(count=100, kinds=("drug",)).load()
