"""How probable whole continuations of a prompt are: those of two sides, read token by token as a response begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hneuro.responses.rows import Rows, Start, begin

LOGIT_BYTES = 256 << 20  # of logits that are held at once
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Contest:
    """Two sides of continuations, none of which begins with another."""

    first: tuple[Tokens, ...]
    second: tuple[Tokens, ...]

    @property
    def sides(self) -> tuple[Tokens, ...]:
        return (*self.first, *self.second)

    @property
    def shared(self) -> int:
        """How many tokens all of them have in common before they part."""
        shortest = min(map(len, self.sides)) - 1
        return next((n for n in range(shortest) if len({tokens[n] for tokens in self.sides}) > 1), shortest)


class Outcome(NamedTuple):
    """The odds of the first side against the second, in nats, and what both are of all that could be said."""

    log_odds: float
    mass: float


def read_contests(
    rows: Rows, pad: int, starts: Sequence[Start], contests: Sequence[Contest | None]
) -> list[Outcome | None]:
    """The outcome of each row's contest, after its prompt and under its treatment; None where there is none.

    A continuation counts by its mean log-probability a token after what all of them share, so that a long one is not
    the less probable for its length; several of one side add up. The mass is that of their whole probabilities, given
    what they share. The rows stay as they are.
    """
    asked = [(n, tokens) for n, contest in enumerate(contests) if contest for tokens in contest.sides]
    read = iter(continuations(rows, pad, starts, asked))
    return [None if one is None else _outcome(one, [next(read) for _ in one.sides]) for one in contests]


def log_odds(contest: Contest, parting: Sequence[Tensor]) -> Tensor:
    """Of the first side against the second, in nats: `parting` are log-probabilities [token] after what all share."""
    means = torch.stack([logprobs.mean() for logprobs in parting])
    first = len(contest.first)
    return torch.logsumexp(means[:first], 0) - torch.logsumexp(means[first:], 0)


def _outcome(contest: Contest, read: Sequence[Tensor]) -> Outcome:
    parting = [logprobs[contest.shared :] for logprobs in read]
    mass = sum(logprobs.sum().exp() for logprobs in parting)
    return Outcome(float(log_odds(contest, parting)), float(mass))


def continuations(rows: Rows, pad: int, starts: Sequence[Start], asked: Sequence[tuple[int, Tokens]]) -> list[Tensor]:
    """Log-probabilities [token] float64 of each continuation of a row: `asked` are the row's number and the tokens."""
    found: dict[int, Tensor] = {}
    for block in _blocks([len(tokens) for _, tokens in asked], len(starts), rows.logits.shape[-1]):
        chosen = [asked[n] for n in block]
        logits = rows.logits[torch.tensor([row for row, _ in chosen], device=rows.logits.device)][:, None]
        targets, mask = _padded([tokens for _, tokens in chosen], pad, logits.device)
        if targets.shape[1] > 1:
            ahead = _ahead(rows, pad, starts, [row for row, _ in chosen], targets[:, :-1], mask[:, 1:])
            logits = torch.cat([logits, ahead], dim=1)
        logprobs = logits.gather(2, targets[:, :, None])[:, :, 0] - logits.logsumexp(dim=2)
        for n, row in zip(block, logprobs.cpu().double(), strict=True):
            found[n] = row[: len(asked[n][1])]
    return [found[n] for n in range(len(asked))]


def _ahead(rows: Rows, pad: int, starts: Sequence[Start], chosen: Sequence[int], ids: Tensor, mask: Tensor) -> Tensor:
    """Logits behind the ids of some rows. Where the cache cannot be shared, their prompts are read again."""
    if not rows.selectable:
        return begin(rows.loaded, pad, [starts[n] for n in chosen], learned=rows.learned).ahead(ids, mask)
    before = [dict(vars(layer)) for layer in rows.cache.layers]  # a cache replaces its tensors, it changes none
    try:
        return rows.select(torch.tensor(chosen, device=ids.device)).ahead(ids, mask)
    finally:
        for layer, state in zip(rows.cache.layers, before, strict=True):
            vars(layer).update(state)


def _padded(texts: Sequence[Tokens], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(map(len, texts))
    ids = torch.tensor([[*tokens, *[pad] * (longest - len(tokens))] for tokens in texts], device=device)
    mask = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in texts], device=device)
    return ids, mask


def _blocks(lengths: Sequence[int], most: int, vocabulary: int) -> Iterator[list[int]]:
    """Continuations of similar length: no more of them than there are rows, and no more logits than are allowed."""
    block: list[int] = []
    for n in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        if block and (len(block) == most or (len(block) + 1) * lengths[n] * vocabulary * 4 > LOGIT_BYTES):
            yield block
            block = []
        block.append(n)
    if block:
        yield block
