"""The conversations of a sweep, whichever engine speaks: every row turn by turn under its treatment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hneuro.causal.grid import Cell
from hneuro.models.chat import answer_start
from hneuro.models.edits import UNTOUCHED, Treatment
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, Opening, SweepAnswer
from hneuro.responses.sampler import before_stop

SweepRow = tuple[BenchmarkItem, Cell]
Message = Mapping[str, str]


class Sweeper(Protocol):
    """An engine that answers the rows of a sweep."""

    def openings(self, items: Sequence[BenchmarkItem]) -> tuple[Opening, ...]:
        """The first replies of the untouched model to items that go on after one (section 3.2, sycophancy)."""

    def answers(self, rows: Sequence[SweepRow], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        """The answers of some rows in their order. `openings`: item -> its first reply, where it has follow-ups."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What the model is to reply to."""

    item: BenchmarkItem
    prompt_ids: tuple[int, ...]
    seed: str  # names the draw: equal in every cell of an item
    treatment: Treatment = UNTOUCHED
    decides: bool = False  # complying is read from how this reply begins


@dataclass(frozen=True, kw_only=True)
class Reply:
    text: str
    truncated: bool
    p_comply: float | None = None  # None where it was not read
    mass: float | None = None


def reply_of(
    model: LanguageModel,
    prompt_ids: Sequence[int],
    token_ids: Sequence[int],
    truncated: bool,
    p_comply: float | None = None,
    mass: float | None = None,
) -> Reply:
    """What was generated as a reply: up to where it ends, without its thought; nothing where that never ends."""
    length = before_stop(model, token_ids)
    start = answer_start(model.written, model.marks, prompt_ids, token_ids[:length])
    return Reply(
        text="" if start is None else model.text_of(token_ids[start:length]),
        truncated=truncated and length == len(token_ids),
        p_comply=p_comply,
        mass=mass,
    )


Speak = Callable[[Sequence[Turn]], Sequence[Reply]]


def opened(model: LanguageModel, items: Sequence[BenchmarkItem], seed: int, speak: Speak) -> tuple[Opening, ...]:
    """`Sweeper.openings`, by an engine that replies to turns."""
    turns = [Turn(item=i, prompt_ids=model.chat_ids(i.messages), seed=_draw(seed, i, 0)) for i in items]
    made = speak(turns)
    return tuple(Opening(item_id=item.id, text=reply.text) for item, reply in zip(items, made, strict=True))


def answered(
    model: LanguageModel, rows: Sequence[SweepRow], openings: Mapping[str, str], seed: int, speak: Speak
) -> tuple[SweepAnswer, ...]:
    """`Sweeper.answers`, by an engine that replies to turns: to the first ones of all rows, then to the second ones."""
    said = [[openings[item.id]] if item.follow_ups else [] for item, _ in rows]
    made: list[list[Reply]] = [[] for _ in rows]
    waiting = list(range(len(rows)))
    while waiting:
        turns = [_turn(model, rows[n], said[n], seed, first=not made[n]) for n in waiting]
        for n, reply in zip(waiting, speak(turns), strict=True):
            said[n].append(reply.text)
            made[n].append(reply)
        waiting = [n for n in waiting if len(said[n]) <= len(rows[n][0].follow_ups)]
    return tuple(
        SweepAnswer(
            item_id=item.id,
            neuron_set=cell.neuron_set,
            seed=cell.seed,
            alpha=cell.alpha,
            replies=tuple(texts),
            p_comply=replies[0].p_comply,
            mass=replies[0].mass,
            truncated=any(reply.truncated for reply in replies),
        )
        for (item, cell), texts, replies in zip(rows, said, made, strict=True)
    )


def _turn(model: LanguageModel, row: SweepRow, said: Sequence[str], seed: int, *, first: bool) -> Turn:
    item, cell = row
    return Turn(
        item=item,
        prompt_ids=model.chat_ids(conversation(item, said)),
        seed=_draw(seed, item, len(said)),
        treatment=cell.treatment,
        decides=first,
    )


def _draw(seed: int, item: BenchmarkItem, turn: int) -> str:
    return f"{seed}/{item.id}" + (f"/{turn}" if turn else "")


def conversation(item: BenchmarkItem, said: Sequence[str]) -> list[Message]:
    """The messages up to the model's next reply, after what it has said."""
    messages = list(item.messages)
    for reply, answer in zip(said, item.follow_ups, strict=False):
        messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": answer}]
    return messages
