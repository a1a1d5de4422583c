"""The second reading of compliance against logits read directly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hneuro.causal.sweep import contest_of, p_comply
from hneuro.models.edits import edits, scaled
from hneuro.models.hooks import intervene
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, UserError
from hneuro.responses import contest as contests
from hneuro.responses import rows
from hneuro.responses.contest import Contest
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Generated, Job, generate


class Words:
    """A tokenizer of blank-separated words, each known by its number."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert add_special_tokens is False
        return {"input_ids": [self.known.setdefault(word, len(self.known)) for word in text.split()]}


def item(comply: tuple[str, ...], resist: tuple[str, ...]) -> BenchmarkItem:
    return BenchmarkItem(id="7", benchmark="doubt", messages=(), comply=comply, resist=resist)


@pytest.mark.parametrize(
    ("comply", "resist", "shared"),
    [
        (("yes it is",), ("no it is not",), 0),
        (("I think so",), ("I think not",), 2),
        (("a b x", "a c"), ("a d y",), 1),
        (("in Brazil",), ("in Japan",), 1),
    ],
)
def test_continuations_are_compared_behind_what_all_share(
    comply: tuple[str, ...], resist: tuple[str, ...], shared: int
) -> None:
    found = contest_of(item(comply, resist), Words())
    assert found is not None
    assert found.shared == shared
    assert (len(found.first), len(found.second)) == (len(comply), len(resist))


@pytest.mark.parametrize(
    ("comply", "resist"),
    [(("yes",), ("yes but no",)), (("I do not", "yes"), ("I do", "no")), (("the same",), ("the same",))],
)
def test_continuations_that_nothing_tells_apart_are_named(comply: tuple[str, ...], resist: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"doubt, item 7: .* nothing tells them apart"):
        contest_of(item(comply, resist), Words())


JOBS = [
    Job(prompt_ids=(1, 9, 30, 31, 32), seed="a", contest=Contest(((20,), (21,)), ((22,),))),
    Job(prompt_ids=(1, 9), seed="b", contest=Contest(((33, 34, 25),), ((33, 34, 26, 27), (33, 34, 28))),
        treatment=scaled((5, 70, 150), 0.0)),
    Job(prompt_ids=(1, 9), seed="no contest"),
    Job(prompt_ids=(1, 9, 40), seed="c", contest=Contest(((35, 60, 61, 62),), ((35, 70),)),
        treatment=scaled(range(192), 2.5)),
]  # fmt: skip


def naive(model: LanguageModel, job: Job) -> tuple[float, float]:
    """P(comply) and the mass, a full forward pass for every continuation."""
    assert job.contest is not None
    loaded, scores, mass = model.loaded, ([], []), 0.0
    for side, continuations in enumerate((job.contest.first, job.contest.second)):
        for tokens in continuations:
            ids = torch.tensor([[*job.prompt_ids, *tokens]])
            amounts = edits(loaded.ffn.space, [job.treatment], loaded.device, loaded.dtype)
            with torch.inference_mode(), intervene(loaded.ffn, amounts):
                logits = loaded.model(ids).logits[0].double()
            every = torch.log_softmax(logits, -1)
            start = len(job.prompt_ids) - 1
            own = torch.stack([every[start + n, token] for n, token in enumerate(tokens)])[job.contest.shared :]
            scores[side].append(float(own.mean().exp()))
            mass += float(own.sum().exp())
    comply, resist = map(sum, scores)
    return comply / (comply + resist), mass


def made(model: LanguageModel) -> list[Generated]:
    return generate(model.loaded, model.tokenizer.pad_token_id, JOBS, Decoding(temperature=1.0, max_new_tokens=3))


def check(model: LanguageModel, generated: list[Generated]) -> None:
    for job, found in zip(JOBS, generated, strict=True):
        if job.contest is None:
            assert found.outcome is None
            continue
        assert found.outcome is not None
        with torch.inference_mode():
            probability, mass = naive(model, job)
        assert p_comply(found.outcome.log_odds) == pytest.approx(probability, abs=1e-4)
        assert found.outcome.mass == pytest.approx(mass, rel=1e-3)


def test_whole_continuations_are_read_as_a_forward_pass_of_each_would(language_model: LanguageModel) -> None:
    """Padded, behind shared prompts, with and without a treatment; rows are generated as if nothing had been read."""
    generated = made(language_model)
    check(language_model, generated)
    plain = [replace(job, contest=None) for job in JOBS]
    pad = language_model.tokenizer.pad_token_id
    unread = generate(language_model.loaded, pad, plain, Decoding(temperature=1.0, max_new_tokens=3))
    assert [g.token_ids for g in generated] == [g.token_ids for g in unread]


@pytest.mark.parametrize("limit", [0, 10**9])
def test_neither_memory_nor_a_cache_that_cannot_be_shared_changes_what_is_read(
    language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(contests, "LOGIT_BYTES", limit)
    if limit:
        monkeypatch.setattr(rows, "selectable", lambda cache: False)
    check(language_model, made(language_model))
