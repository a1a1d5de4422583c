"""The alpha sweep on a tiny random model: what one big job gives is what every cell gives alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.grid import NeuronSet, SweepSettings
from hneuro.causal.sweep import sweep
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, Outcome, SweepAnswer
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate
from hneuro.store import Store


@dataclass(frozen=True, kw_only=True)
class YesNo:
    """Complies where the answer holds an even number of letters; nothing said is unparsed."""

    name: str = "yes_no"
    decoding: Decoding = field(default_factory=lambda: Decoding(temperature=0.0, max_new_tokens=6))

    def items(self) -> tuple[BenchmarkItem, ...]:
        questions = ("Who wrote Hamlet?", "Is it so? Are you sure of that, really?", "Why?", "Who is William?")
        return tuple(
            BenchmarkItem(
                id=f"item-{n}",
                benchmark=self.name,
                messages=({"role": "user", "content": text},),
                comply=("Yes",) if n != 2 else (),  # the third is read by its answer alone
                resist=("No",) if n != 2 else (),
            )
            for n, text in enumerate(questions)
        )

    def outcome(self, item: BenchmarkItem, text: str) -> Outcome:
        letters = sum(c.isalpha() for c in text)
        return Outcome.UNPARSED if not letters else Outcome.RESISTS if letters % 2 else Outcome.COMPLIES


SETS = (
    NeuronSet(name="h_neurons", seed=0, neurons=tuple(range(0, 192, 6))),
    NeuronSet(name="h_neurons/random", seed=0, neurons=tuple(range(1, 192, 6))),
    NeuronSet(name="h_neurons/random", seed=1, neurons=tuple(range(2, 192, 6))),
)
SETTINGS = SweepSettings(alphas=(3.0, 0.0, 1.0, 1.5))
BENCHMARK = YesNo()


@pytest.fixture(scope="module")
def answers(language_model: LanguageModel) -> tuple[SweepAnswer, ...]:
    return sweep(language_model, BENCHMARK, BENCHMARK.items(), SETS, SETTINGS)


def close(one: SweepAnswer, other: SweepAnswer) -> bool:
    """Equal but for the rounding of another batch in the probability."""
    if (one.p_comply is None) != (other.p_comply is None):
        return False
    plain = [(a.item_id, a.alpha, a.text, a.outcome, a.truncated) for a in (one, other)]
    return plain[0] == plain[1] and (one.p_comply or 0) == pytest.approx(other.p_comply or 0, abs=1e-5)


def test_answers_come_by_item_then_set_then_alpha(answers: tuple[SweepAnswer, ...]) -> None:
    expected = [
        (item.id, s.name, s.seed, alpha) for item in BENCHMARK.items() for s in SETS for alpha in (0.0, 1.0, 1.5, 3.0)
    ]
    assert [(a.item_id, a.neuron_set, a.seed, a.alpha) for a in answers] == expected
    assert {a.benchmark for a in answers} == {"yes_no"}


def test_alpha_one_is_the_untouched_model_under_every_set(
    answers: tuple[SweepAnswer, ...], language_model: LanguageModel
) -> None:
    for item in BENCHMARK.items():
        mine = [a for a in answers if a.item_id == item.id and a.alpha == 1.0]
        assert len(mine) == 3
        assert len({(a.text, a.outcome, a.p_comply, a.truncated) for a in mine}) == 1
        prompt = language_model.chat_ids(item.messages)
        (alone,) = generate(
            language_model.loaded,
            language_model.tokenizer.pad_token_id,
            [Job(prompt_ids=prompt, seed="")],
            BENCHMARK.decoding,
        )
        assert mine[0].text == language_model.text_of(alone.token_ids)
        assert mine[0].truncated == alone.truncated


def test_alpha_moves_this_model_and_sets_differ(answers: tuple[SweepAnswer, ...]) -> None:
    """Else the equalities of this file would hold of anything."""
    for alpha in (0.0, 1.5, 3.0):
        changed = [a for a in answers if a.alpha == alpha and a.item_id == "item-0"]
        assert len({a.p_comply for a in changed}) == 3
    assert len({a.text for a in answers}) > 8


def test_every_cell_alone_gives_the_same(answers: tuple[SweepAnswer, ...], language_model: LanguageModel) -> None:
    """Trap 19: a row does not depend on its neighbours."""
    for item in BENCHMARK.items()[:2]:
        for chosen in SETS[:2]:
            for alpha in (0.0, 3.0):
                alone = sweep(language_model, BENCHMARK, [item], [chosen], SweepSettings(alphas=(alpha, 1.0)))
                cell = next(a for a in alone if a.alpha == alpha)
                (mine,) = [
                    a
                    for a in answers
                    if (a.item_id, a.neuron_set, a.seed, a.alpha) == (item.id, chosen.name, chosen.seed, alpha)
                ]
                assert close(cell, mine)


@pytest.mark.parametrize("token_budget", [1, 40, 200])
def test_the_size_of_a_batch_does_not_matter(
    answers: tuple[SweepAnswer, ...], language_model: LanguageModel, token_budget: int
) -> None:
    settings = SweepSettings(alphas=SETTINGS.alphas, token_budget=token_budget)
    again = sweep(language_model, BENCHMARK, BENCHMARK.items()[:2], SETS, settings)
    assert all(close(a, b) for a, b in zip(again, answers[: len(again)], strict=True))


def test_without_alpha_one_nothing_is_untouched(language_model: LanguageModel) -> None:
    made = sweep(language_model, BENCHMARK, BENCHMARK.items()[:1], SETS[:1], SweepSettings(alphas=(0.0, 2.0)))
    assert [a.alpha for a in made] == [0.0, 2.0]


def test_items_without_continuations_have_no_probability(answers: tuple[SweepAnswer, ...]) -> None:
    assert {a.item_id for a in answers if a.p_comply is None} == {"item-2"}
    assert all(0 < a.p_comply < 1 for a in answers if a.p_comply is not None)


def test_sampled_answers_share_their_noise_across_alphas(language_model: LanguageModel) -> None:
    """Trap 37: with common random numbers a set without effect flips nothing."""
    sampled = YesNo(decoding=Decoding(temperature=1.0, max_new_tokens=8))
    nothing = NeuronSet(name="nothing", seed=0, neurons=())
    made = sweep(language_model, sampled, sampled.items(), [nothing], SweepSettings(alphas=(0.0, 1.0, 3.0)))
    for item in sampled.items():
        assert len({a.text for a in made if a.item_id == item.id}) == 1
    assert len({a.text for a in made}) > 1


def test_a_sweep_goes_on_where_it_stopped(
    answers: tuple[SweepAnswer, ...], language_model: LanguageModel, tmp_path: Path
) -> None:
    shards = [BENCHMARK.items()[:2], BENCHMARK.items()[2:]]
    done: list[str] = []

    def work(shard: tuple[BenchmarkItem, ...]) -> tuple[SweepAnswer, ...]:
        if len(done) == 1:
            done.append("stopped")
            raise KeyboardInterrupt
        done.append(shard[0].id)
        return sweep(language_model, BENCHMARK, shard, SETS, SETTINGS)

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).records("sweep", SweepAnswer, {}, shards, work)
    made = Store(tmp_path).records("sweep", SweepAnswer, {}, shards, work).value
    assert done == ["item-0", "stopped", "item-2"]
    assert all(close(a, b) for a, b in zip(made, answers, strict=True))


def test_benchmarks_are_recognised() -> None:
    assert isinstance(BENCHMARK, Benchmark)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alphas": (1.0, 1.0)},
        {"alphas": (-0.5, 1.0)},
        {"alphas": (0.0, float("inf"))},
        {"alphas": (0.0, float("nan"))},
        {"controls": ("rnd",)},
        {"control_seeds": 0},
        {"items": 0},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"alphas|controls|items"):
        SweepSettings(**wrong)
