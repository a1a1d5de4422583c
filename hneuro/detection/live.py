"""Answers while they are generated, each of whose tokens is read as it comes: many at a time, each on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from hneuro.detection.detector import Classifier
from hneuro.detection.monitor import RiskMonitor
from hneuro.models.edits import UNTOUCHED, Edits, Treatment, edits
from hneuro.models.language_model import LanguageModel
from hneuro.responses.decoding import Decoding
from hneuro.responses.draw import draw
from hneuro.responses.generate import end_ids
from hneuro.responses.noise import row_seed
from hneuro.responses.rows import Rows, begin


@dataclass(kw_only=True, eq=False)
class Turn:
    """An answer under way. Between two steps every token in it has been read.

    `log_odds` of a hallucination [token + 1]: first at the last token of the prompt, then at each token of the answer.
    `finish` can be set by whoever has enough of it; it leaves the batch then.
    """

    prompt_ids: tuple[int, ...]  # at least two
    decoding: Decoding
    treatment: Treatment = UNTOUCHED  # of all its positions
    seed: str = ""  # names the draw: equal seeds draw equal noise, in whatever batch
    likeliest: int = 0  # of so many tokens the log-probability is kept at every step
    token_ids: list[int] = field(default_factory=list)  # without the one that ends the turn
    logprobs: list[float] = field(default_factory=list)  # [token], at temperature 1
    likely: list[list[tuple[int, float]]] = field(default_factory=list)  # [token][rank]
    log_odds: list[float] = field(default_factory=list)
    finish: Literal["", "stop", "length", "cancelled"] = ""


class Live:
    """The turns that share a batch. One that joins later is read on its own first, and waits for no other."""

    def __init__(self, model: LanguageModel, detector: Classifier) -> None:
        self.model = model
        self.monitor = RiskMonitor(detector)
        self.ends = end_ids(model.loaded.model)
        self.turns: list[Turn] = []  # in the order of the rows
        self.rows: Rows | None = None

    @property
    def open(self) -> bool:
        """Whether turns can join now; in some models only an empty batch takes new ones."""
        return self.rows is None or self.rows.joinable

    @torch.inference_mode()
    def add(self, turns: Sequence[Turn]) -> None:
        """Reads their prompts."""
        starts = [(turn.prompt_ids[:-1], turn.treatment) for turn in turns]
        # The last token is a step of its own: that is where the risk of the first token is predicted.
        added = self._read(begin(self.model.loaded, 0, starts), turns, [turn.prompt_ids[-1] for turn in turns])
        self.turns += turns
        self.rows = added if self.rows is None else self.rows.joined(added, self._edits())

    @torch.inference_mode()
    def step(self) -> None:
        """Draws the next token of every turn, and reads it. What has ended leaves."""
        self.leave()
        if not self.turns:
            return
        assert self.rows is not None
        tokens = self._drawn(self.rows)
        self.leave()
        if not self.turns:
            return
        self.rows = self._read(self.rows, self.turns, [tokens[id(turn)] for turn in self.turns])
        for turn in self.turns:
            if not turn.finish and len(turn.token_ids) == turn.decoding.max_new_tokens:
                turn.finish = "length"
        self.leave()

    def _edits(self) -> Edits:
        loaded = self.model.loaded
        return edits(loaded.ffn.space, [turn.treatment for turn in self.turns], loaded.device, loaded.dtype)

    def _read(self, rows: Rows, turns: Sequence[Turn], tokens: Sequence[int]) -> Rows:
        """The rows with these tokens, whose risk is noted."""
        with self.monitor.read(rows.loaded, len(turns)) as log_odds:
            rows = rows.step(torch.tensor(tokens, device=rows.logits.device))
        for turn, found in zip(turns, log_odds().tolist(), strict=True):
            if not turn.finish:
                turn.log_odds.append(found)
        return rows

    def _drawn(self, rows: Rows) -> dict[int, int]:
        """The next token by turn; rows that are decoded alike are drawn together."""
        alike: dict[tuple[float, float, int, int], list[int]] = {}
        for n, turn in enumerate(self.turns):
            how = turn.decoding
            greedy = how.temperature == 0
            key = (0.0, 1.0, 0, 0) if greedy else (how.temperature, how.top_p, how.top_k, len(turn.token_ids))
            alike.setdefault(key, []).append(n)
        tokens: dict[int, int] = {}
        for (*_, step), members in alike.items():
            logits = rows.logits if len(members) == len(self.turns) else rows.logits[members]
            turns = [self.turns[n] for n in members]
            seeds = torch.tensor([row_seed(turn.seed) for turn in turns], device=logits.device)
            drawn = draw(logits, seeds, step, turns[0].decoding)
            for n, (turn, token, logprob) in enumerate(
                zip(turns, drawn.tokens.tolist(), drawn.logprobs.tolist(), strict=True)
            ):
                tokens[id(turn)] = token
                self._note(turn, token, logprob, logits[n])
        return tokens

    def _note(self, turn: Turn, token: int, logprob: float, logits: torch.Tensor) -> None:
        if turn.finish:
            return
        if token in self.ends:
            turn.finish = "stop"
            return
        turn.token_ids.append(token)
        turn.logprobs.append(logprob)
        if turn.likeliest:
            best = torch.log_softmax(logits, dim=-1).topk(turn.likeliest)
            turn.likely.append(list(zip(best.indices.tolist(), best.values.tolist(), strict=True)))

    def close(self) -> None:
        """Nothing of it outlives it."""

    @torch.inference_mode()
    def leave(self) -> None:
        """Lets finished turns go; where rows cannot be left out they stay until all have finished."""
        going = [n for n, turn in enumerate(self.turns) if not turn.finish]
        if self.rows is None or len(going) == len(self.turns):
            return
        if not going:
            self.turns, self.rows = [], None
        elif self.rows.selectable:
            self.rows = self.rows.select(torch.tensor(going, device=self.rows.logits.device))
            self.turns = [self.turns[n] for n in going]
