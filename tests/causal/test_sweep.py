"""The alpha sweep on a tiny random model: what one big job gives is what every cell gives alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from hneuro.causal.benchmarks.base import ByRule
from hneuro.causal.grid import UNTOUCHED, NeuronSet, SweepSettings, cells
from hneuro.causal.sweep import Sweep
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, Outcome, SweepAnswer
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate


@dataclass(frozen=True, kw_only=True)
class YesNo(ByRule):
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


ALPHAS = (3.0, 0.0, 1.0, 1.5)
SETS = (
    NeuronSet(name="h_neurons", seed=0, neurons=tuple(range(0, 192, 6)), alphas=ALPHAS),
    NeuronSet(name="h_neurons/random", seed=0, neurons=tuple(range(1, 192, 6)), alphas=ALPHAS),
    NeuronSet(name="h_neurons/random", seed=1, neurons=tuple(range(2, 192, 6)), alphas=(0.0, 3.0)),
)
BENCHMARK = YesNo()


def sweep(
    model: LanguageModel,
    benchmark: YesNo = BENCHMARK,
    items: Sequence[BenchmarkItem] | None = None,
    sets: Sequence[NeuronSet] = SETS,
    token_budget: int = 16384,
) -> tuple[SweepAnswer, ...]:
    rows = [(item, cell) for item in (benchmark.items() if items is None else items) for cell in cells(sets)]
    return Sweep(model, benchmark.decoding, token_budget).answers(rows, {})


@pytest.fixture(scope="module")
def answers(language_model: LanguageModel) -> tuple[SweepAnswer, ...]:
    return sweep(language_model)


def close(one: SweepAnswer, other: SweepAnswer) -> bool:
    """Equal but for the rounding of another batch in the probability."""
    if (one.p_comply is None) != (other.p_comply is None):
        return False
    plain = [(a.item_id, a.neuron_set, a.seed, a.alpha, a.replies, a.truncated) for a in (one, other)]
    return plain[0] == plain[1] and (one.p_comply or 0) == pytest.approx(other.p_comply or 0, abs=1e-5)


def test_answers_come_by_item_and_the_untouched_model_answers_once(answers: tuple[SweepAnswer, ...]) -> None:
    grid = [
        (UNTOUCHED, 0, 1.0),
        *((s.name, s.seed, alpha) for s in SETS for alpha in (0.0, 1.5, 3.0) if alpha in s.alphas),
    ]
    expected = [(item.id, *cell) for item in BENCHMARK.items() for cell in grid]
    assert [(a.item_id, a.neuron_set, a.seed, a.alpha) for a in answers] == expected


def test_alpha_one_is_the_untouched_model(answers: tuple[SweepAnswer, ...], language_model: LanguageModel) -> None:
    for item in BENCHMARK.items():
        (mine,) = [a for a in answers if a.item_id == item.id and a.alpha == 1.0]
        (alone,) = generate(
            language_model.loaded,
            language_model.tokenizer.pad_token_id,
            [Job(prompt_ids=language_model.chat_ids(item.messages), seed="")],
            BENCHMARK.decoding,
        )
        assert mine.replies == (language_model.text_of(alone.token_ids),)
        assert mine.truncated == alone.truncated


def test_every_cell_alone_gives_the_same(answers: tuple[SweepAnswer, ...], language_model: LanguageModel) -> None:
    """A row does not depend on its neighbours."""
    for item in BENCHMARK.items()[:2]:
        for chosen in SETS[:2]:
            for alpha in (0.0, 3.0):
                (cell,) = sweep(language_model, items=[item], sets=[replace(chosen, alphas=(alpha,))])
                (mine,) = [a for a in answers if close(a, replace(cell, p_comply=a.p_comply))]
                assert close(cell, mine)


def test_sampled_answers_share_their_noise_across_alphas(language_model: LanguageModel) -> None:
    """With common random numbers a set without effect flips nothing."""
    sampled = YesNo(decoding=Decoding(temperature=1.0, max_new_tokens=8))
    made = sweep(language_model, sampled, sets=[NeuronSet(name="nothing", seed=0, neurons=(), alphas=(0.0, 1.0, 3.0))])
    for item in sampled.items():
        assert len({a.replies for a in made if a.item_id == item.id}) == 1
    assert len({a.replies for a in made}) > 1


def test_a_conversation_begins_untouched_and_goes_on_under_the_treatment(language_model: LanguageModel) -> None:
    """Section 3.2: what is doubted is the same answer at every alpha, and every later turn is under the treatment."""
    talk = replace(BENCHMARK.items()[2], follow_ups=("Are you sure?", "So what is it?"))
    other = replace(BENCHMARK.items()[0], follow_ups=("Really?",))
    sweeping = Sweep(language_model, BENCHMARK.decoding, 4096)
    openings = {opening.item_id: opening.text for opening in sweeping.openings([talk, other])}
    grid = cells([replace(SETS[0], alphas=(0.0, 1.0, 3.0))])
    made = sweeping.answers([(item, cell) for item in (talk, other) for cell in grid], openings)
    assert [len(a.replies) for a in made] == [3, 3, 3, 2, 2, 2]
    assert {a.replies[0] for a in made[:3]} == {openings["item-2"]}
    assert len({a.replies[1] for a in made[:3]}) > 1
    # The same by hand: each turn is generated from the conversation so far.
    for answer, cell in zip(made[:3], grid, strict=True):
        messages = [*talk.messages, {"role": "assistant", "content": answer.replies[0]}]
        for turn, doubt in enumerate(talk.follow_ups, 1):
            messages.append({"role": "user", "content": doubt})
            job = Job(language_model.chat_ids(messages), "", cell.treatment)
            pad = language_model.tokenizer.pad_token_id
            (alone,) = generate(language_model.loaded, pad, [job], BENCHMARK.decoding)
            assert answer.replies[turn] == language_model.text_of(alone.token_ids)
            messages.append({"role": "assistant", "content": answer.replies[turn]})
    assert {a.p_comply is None for a in made[3:]} == {False}


@pytest.mark.parametrize(
    "wrong",
    [
        {"alphas": (1.0, 1.0)},
        {"alphas": (-0.5, 1.0)},
        {"alphas": (0.0, float("inf"))},
        {"alphas": (0.0, float("nan"))},
        {"control_seeds": 0},
        {"control_seeds": 10**12},
        {"items": 0},
        {"rows_per_shard": 0},
        {"variants": ("mean",), "alphas": (1.0, 2.0)},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"alpha|control_seeds|items"):
        SweepSettings(**wrong)
