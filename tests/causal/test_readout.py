"""The second reading of compliance against logits read directly."""

from __future__ import annotations

import pytest
import torch

from hneuro.causal.readout import Fork, fork_of, log_odds_at, p_comply
from hneuro.models.edits import scaled
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate


class Words:
    """A tokenizer of blank-separated words, each known by its number."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert add_special_tokens is False
        return {"input_ids": [self.known.setdefault(word, len(self.known)) for word in text.split()]}


def item(comply: tuple[str, ...], resist: tuple[str, ...]) -> BenchmarkItem:
    return BenchmarkItem(id="7", benchmark="doubt", messages=(), comply=comply, resist=resist)


def fork(comply: tuple[str, ...], resist: tuple[str, ...]) -> tuple[tuple[str, ...], set[str], set[str]] | None:
    words = Words()
    found = fork_of(item(comply, resist), words)
    if found is None:
        return None
    name = {number: word for word, number in words.known.items()}
    shared = tuple(name[n] for n in found.shared)
    return shared, {name[n] for n in found.comply}, {name[n] for n in found.resist}


def test_the_first_words_decide() -> None:
    assert fork(("yes it is",), ("no it is not",)) == ((), {"yes"}, {"no"})


def test_what_all_share_is_read_before_the_fork() -> None:
    assert fork(("I think so",), ("I think not",)) == (("I", "think"), {"so"}, {"not"})


def test_equal_first_words_of_one_side_count_once() -> None:
    assert fork(("yes sir", "yes", "sure"), ("no",)) == ((), {"yes", "sure"}, {"no"})
    assert fork(("a b x", "a c"), ("a d y",)) == (("a",), {"b", "c"}, {"d"})


@pytest.mark.parametrize(("comply", "resist"), [((), ("no",)), (("yes",), ()), ((), ())])
def test_nothing_to_compare_is_no_fork(comply: tuple[str, ...], resist: tuple[str, ...]) -> None:
    assert fork(comply, resist) is None


@pytest.mark.parametrize(
    ("comply", "resist"),
    [(("yes",), ("yes but no",)), (("I do", "yes"), ("I do not", "no")), (("the same",), ("the same",))],
)
def test_continuations_that_no_position_tells_apart_are_named(comply: tuple[str, ...], resist: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"doubt, item 7: .* no single position"):
        fork(comply, resist)


def test_an_empty_continuation_is_named() -> None:
    with pytest.raises(UserError, match="doubt, item 7: a continuation to compare has no tokens"):
        fork(("",), ("no",))


def test_probabilities_are_those_of_the_logits(language_model: LanguageModel) -> None:
    loaded = language_model.loaded
    pad = language_model.tokenizer.pad_token_id
    jobs = [
        Job(prompt_ids=(1, 9, 30, 31, 32), seed="a"),
        Job(prompt_ids=(1, 9), seed="b", treatment=scaled((5, 70, 150), 0.0)),
        Job(prompt_ids=(1, 9, 40), seed="c", treatment=scaled(range(192), 2.5)),
    ]
    forks = [
        Fork(shared=(), comply=(20, 21), resist=(22,)),
        Fork(shared=(33, 34), comply=(25,), resist=(26, 27, 28)),
        Fork(shared=(35,), comply=(60,), resist=(61,)),
    ]
    read = [p_comply(odds) for odds in log_odds_at(loaded, pad, jobs, forks)]
    for job, parting, probability in zip(jobs, forks, read, strict=True):
        weights = {n: layer.weight.clone() for n, layer in enumerate(loaded.ffn.layers)}
        try:
            with torch.no_grad():
                for layer, indices in loaded.ffn.space.by_layer(job.treatment.neurons).items():
                    loaded.ffn.layers[layer].weight[:, indices] *= (
                        job.treatment.alpha
                    )  # scaling z is scaling columns of W_down
                logits = loaded.model(torch.tensor([[*job.prompt_ids, *parting.shared]])).logits[0, -1]
        finally:
            with torch.no_grad():
                for n, weight in weights.items():
                    loaded.ffn.layers[n].weight.copy_(weight)
        every = torch.softmax(logits.double(), 0)
        comply, resist = every[list(parting.comply)].sum(), every[list(parting.resist)].sum()
        assert probability == pytest.approx(float(comply / (comply + resist)), abs=1e-5)


def test_generation_reads_the_same_odds_as_a_forward_pass_of_its_own(language_model: LanguageModel) -> None:
    contest = ((20, 21), (22,))
    jobs = [
        Job(prompt_ids=(1, 9, 30, 31, 32), seed="a", contest=contest),
        Job(prompt_ids=(1, 9), seed="b"),
        Job(prompt_ids=(1, 9, 40), seed="c", treatment=scaled(range(192), 2.5), contest=contest),
    ]
    pad, fork_here = language_model.tokenizer.pad_token_id, Fork(shared=(), comply=contest[0], resist=contest[1])
    made = generate(language_model.loaded, pad, jobs, Decoding(temperature=1.0, max_new_tokens=2))
    alone = log_odds_at(language_model.loaded, pad, jobs, [fork_here] * 3)
    assert made[0].log_odds == pytest.approx(alone[0], abs=1e-4)
    assert made[1].log_odds is None
    assert made[2].log_odds == pytest.approx(alone[2], abs=1e-4)
