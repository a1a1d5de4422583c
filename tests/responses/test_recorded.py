"""Recorded responses: what files say of them is used as it is, or refused in one line, or lost with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hneuro.codec import write_jsonl
from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import stored
from hneuro.records import Question, Response, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.recorded import NOT_ITS_TEXT, RecordedSampler
from hneuro.responses.sampler import TransformersSampler
from hneuro.store import Store

QUESTIONS = [
    Question(id=f"q{n}", dataset="d", text=text, answers=("x",), entity=str(n))
    for n, text in enumerate(["Who wrote Hamlet?", "Who was it?"])
]
SAMPLES = 3
TEXTS = {"q0": ["William", "William Shakespeare", "Eugene O'Neill"], "q1": ["it", "São Paulo", "Who, not what"]}


@pytest.fixture(scope="module")
def sampled(language_model: LanguageModel) -> tuple[Response, ...]:
    sampler = TransformersSampler(samples=SAMPLES, decoding=Decoding(max_new_tokens=8))
    made = sampler.sample(language_model, QUESTIONS, SAMPLES, 0)
    assert all(language_model.text_of(r.token_ids) == r.text for r in made)
    return made


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, model: LanguageModel, samples: int = SAMPLES, **options: Any) -> tuple[Response, ...]:
    sampler = RecordedSampler(paths=(str(path),), samples=samples, **options)
    sampler.check(model, QUESTIONS)
    return sampler.sample(model, QUESTIONS, samples, 0)


def test_our_own_records_come_back_as_they_were(
    sampled: tuple[Response, ...], language_model: LanguageModel, tmp_path: Path
) -> None:
    """In whatever order they stand; the first samples if fewer are asked for."""
    write_jsonl(tmp_path / "records.jsonl", sampled[::-1])
    assert read(tmp_path / "records.jsonl", language_model) == sampled
    first = tuple(r for r in sampled if r.sample == 0)
    assert read(tmp_path / "records.jsonl", language_model, samples=1) == first


def test_a_lost_response_stays_lost(
    sampled: tuple[Response, ...], language_model: LanguageModel, tmp_path: Path
) -> None:
    broken = replace(sampled[1], token_ids=(), logprobs=(), entropies=(), lost="the server died")
    write_jsonl(tmp_path / "records.jsonl", [sampled[0], broken, *sampled[2:]])
    assert read(tmp_path / "records.jsonl", language_model)[1] == broken


def texts(said: dict[str, list[str]] = TEXTS) -> list[dict[str, Any]]:
    return [{"question_id": name, "text": text} for name, each in said.items() for text in each]


def test_tokens_of_texts_are_derived_and_decode_to_them(language_model: LanguageModel, tmp_path: Path) -> None:
    made = read(written(tmp_path / "r.jsonl", texts()), language_model)
    assert [(r.question_id, r.sample, r.text) for r in made] == [
        (q.id, n, TEXTS[q.id][n]) for q in QUESTIONS for n in range(SAMPLES)
    ]
    for response in made:
        asked = next(q for q in QUESTIONS if q.id == response.question_id)
        assert response.prompt_ids == language_model.prompt_ids(asked.text)
        assert language_model.text_of(response.token_ids) == response.text
        assert (response.logprobs, response.entropies, response.lost) == ((), (), "")


def test_what_does_not_decode_to_its_text_is_lost_with_the_reason(
    sampled: tuple[Response, ...], language_model: LanguageModel, tmp_path: Path
) -> None:
    other = replace(sampled[0], text=sampled[0].text + "!")
    write_jsonl(tmp_path / "records.jsonl", [other, *sampled[1:]])
    made = read(tmp_path / "records.jsonl", language_model)
    assert made[1:] == sampled[1:]
    assert made[0] == replace(other, token_ids=(), logprobs=(), entropies=(), lost=NOT_ITS_TEXT)
    special = {"q0": ["a <end> b", "William", "it"], "q1": TEXTS["q1"]}
    assert [r.lost for r in read(written(tmp_path / "r.jsonl", texts(special)), language_model)] == [
        NOT_ITS_TEXT,
        *[""] * 5,
    ]


def test_what_a_base_model_said_has_its_own_files(
    language_model: LanguageModel, base_model: LanguageModel, tmp_path: Path
) -> None:
    chat = written(tmp_path / "chat.jsonl", texts())
    base = written(tmp_path / "base.jsonl", texts({q.id: [" William\nQuestion: Who"] for q in QUESTIONS}))
    sampler = RecordedSampler(paths=(str(chat),), base_paths=(str(base),))
    sampler.check(base_model, QUESTIONS)
    assert [r.text for r in sampler.sample(base_model, QUESTIONS, 1, 0)] == [" William"] * 2  # cut at the newline
    assert [r.text for r in sampler.sample(language_model, QUESTIONS, 1, 0)] == ["William", "it"]
    with pytest.raises(UserError, match=r"sampling.base_paths.*model.base=null"):
        replace(sampler, base_paths=()).check(base_model, QUESTIONS)


def test_the_key_is_of_the_content_and_not_of_where_the_model_runs(
    language_model: LanguageModel, tmp_path: Path
) -> None:
    store, rows = Store(tmp_path / "store"), texts()
    elsewhere = LanguageModel(
        language_model.source,
        replace(language_model.spec, device="cuda:3", dtype="bfloat16", attention="eager"),
        completion=False,
    )
    for name, model in (("a.jsonl", language_model), ("b.jsonl", elsewhere)):
        sampler = RecordedSampler(paths=(str(written(tmp_path / name, rows)),))
        stored.sample(store, model, sampler, QUESTIONS, SAMPLES, 0)
    assert (store.tally.computed, store.tally.loaded) == (["responses"], ["responses"])
    sampler = RecordedSampler(paths=(str(written(tmp_path / "b.jsonl", [*rows, {"question_id": "x", "text": "y"}])),))
    stored.sample(store, language_model, sampler, QUESTIONS, SAMPLES, 0)
    assert len(store.tally.computed) == 2


@dataclass(frozen=True)
class Case:
    name: str
    change: Callable[[list[dict[str, Any]]], Any]  # of good rows in the form of our own records
    says: str


def first(**changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[0].update(changes)


def at(column: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda rows: rows[0][column].__setitem__(0, value)


CASES = [
    Case("a NaN", at("logprobs", float("nan")), r"row 1: 'logprobs' holds a value that cannot be"),
    Case("probabilities", at("logprobs", 0.9), r"'logprobs' .* wrong side of 0"),
    Case("too few log-probabilities", first(logprobs=[-1.0]), r"row 1: 'logprobs' must be a list with a value for"),
    Case("the same sample twice", lambda rows: rows[1].update(sample=0), r"row 2: sample 0 of question 'q0' is there"),
    Case("no ids", first(token_ids="1 2 3"), r"row 1: 'token_ids' must be a list of token ids"),
    Case(
        "outside the vocabulary", first(token_ids=[9999], logprobs=[], entropies=[]), r"9999 is outside the \d+ tokens"
    ),
    Case("another question", first(question="Who was Hamlet?"), r"was put as 'Who was Hamlet\?', and is now 'Who wro"),
    Case("another prompt", first(prompt_ids=[1, 2, 3]), r"'q0' was answered after another prompt .* model.prompting"),
    Case(
        "no responses to a question", lambda rows: rows[:3], r"no recorded responses to 1 of 2 questions, such as 'q1'"
    ),
    Case("too few samples", lambda rows: rows[:5], r"'q1' has 2 recorded responses, .* sampling.samples=2"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_cannot_be_used_is_refused_in_one_line(
    case: Case, sampled: tuple[Response, ...], language_model: LanguageModel, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "good", sampled)
    rows = [json.loads(line) for line in (tmp_path / "good").read_text().splitlines()]
    changed = case.change(rows)
    changed = rows if changed is None else changed
    path = tmp_path / "responses.jsonl"
    written(path, changed)
    with pytest.raises(UserError, match=case.says) as fault:
        read(path, language_model)
    assert "\n" not in str(fault.value)


def test_a_file_that_is_not_there(language_model: LanguageModel, tmp_path: Path) -> None:
    sampler = RecordedSampler(paths=(str(tmp_path / "gone.jsonl"),))
    with pytest.raises(UserError, match=r"gone.jsonl does not exist"):
        sampler.check(language_model, QUESTIONS)
    with pytest.raises(UserError, match=r"cannot read .*gone.jsonl"):
        sampler.reads(language_model)


def test_a_question_in_two_files(language_model: LanguageModel, tmp_path: Path) -> None:
    paths = tuple(str(written(tmp_path / name, texts())) for name in ("a.jsonl", "b.jsonl"))
    with pytest.raises(UserError, match=r"'q0' has responses in .*a.jsonl and in .*b.jsonl"):
        RecordedSampler(paths=paths).check(language_model, QUESTIONS)


def test_no_files_and_no_samples_are_refused() -> None:
    for wrong in ({"paths": ()}, {"paths": ("x",), "samples": 0}):
        with pytest.raises(ValueError, match="samples must be at least 1, and paths must name a file"):
            RecordedSampler(**wrong)  # type: ignore[arg-type]
