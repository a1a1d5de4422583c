"""Answers while they are generated, each of whose tokens is read as it comes: many at a time, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hneuro.contributions.cett import EPSILON
from hneuro.detection.detector import Classifier
from hneuro.models.edits import UNTOUCHED, Edits, Treatment, edits
from hneuro.models.hooks import observe
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.records import ASIDE
from hneuro.responses.decoding import Decoding
from hneuro.responses.draw import draw, row_seed
from hneuro.responses.generate import end_ids
from hneuro.responses.rows import Rows, begin


@dataclass(kw_only=True, eq=False)
class Turn:
    """An answer under way. Between two steps its last token has been drawn, and not yet been read.

    `log_odds` of a hallucination [token + 1]: first at the last token of the prompt, then at each token of the answer.
    `added`: what each neuron of the detector adds to them. `begins`: tokens that it starts with, whatever is drawn.
    `finish`: why no token comes any more. Whoever has enough of it can set it.
    """

    prompt_ids: tuple[int, ...]
    decoding: Decoding
    treatment: Treatment = UNTOUCHED  # of all its positions
    seed: str = ""  # names the draw: equal seeds draw equal noise, in whatever batch
    begins: tuple[int, ...] = ()
    likeliest: int = 0  # of so many tokens the log-probability is kept at every step
    token_ids: list[int] = field(default_factory=list)  # without the one that ends the turn
    logprobs: list[float] = field(default_factory=list)  # [token], at temperature 1
    likely: list[list[tuple[int, float]]] = field(default_factory=list)  # [token][rank]
    log_odds: list[float] = field(default_factory=list)
    added: list[NDArray[np.float32]] = field(default_factory=list)
    finish: Literal["", "stop", "length", "cancelled"] = ""

    @property
    def done(self) -> bool:
        """No token comes any more, and all have been read, or nobody wants them to be."""
        return self.finish == "cancelled" or (self.finish != "" and len(self.log_odds) > len(self.token_ids))

    @cached_property
    def noise(self) -> int:
        """That its seed names."""
        return row_seed(self.seed)


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
        """Reads their prompts, and draws the first token of each."""
        starts = [(turn.prompt_ids, turn.treatment) for turn in turns]
        added = begin(self.model.loaded, 0, starts, reader=self.monitor)
        self._note_read(turns, added)
        self._draw(turns, added)
        self.turns += turns
        self.rows = added if self.rows is None else self.rows.joined(added, self._edits())
        self.leave()

    @torch.inference_mode()
    def step(self) -> None:
        """Reads the last token of every turn, and draws the next. What has ended and been read leaves."""
        self.leave()
        if not self.turns:
            return
        assert self.rows is not None
        last = [turn.token_ids[-1] if turn.token_ids else turn.prompt_ids[-1] for turn in self.turns]
        self.rows = self.rows.step(torch.tensor(last, device=self.rows.logits.device))
        self._note_read(self.turns, self.rows)
        self.leave()
        if self.turns:
            self._draw(self.turns, self.rows)
            self.leave()

    def _note_read(self, turns: Sequence[Turn], rows: Rows) -> None:
        assert rows.found is not None
        log_odds = (rows.found.sum(dim=1) + self.monitor.detector.bias).tolist()
        for turn, one, added in zip(turns, log_odds, rows.found.numpy(), strict=True):
            if not turn.done:
                turn.log_odds.append(one)
                turn.added.append(added)

    def _edits(self) -> Edits:
        loaded = self.model.loaded
        return edits(loaded.ffn.space, [turn.treatment for turn in self.turns], loaded.device, loaded.dtype)

    def _draw(self, turns: Sequence[Turn], rows: Rows) -> None:
        """The next token of each; rows that are decoded alike are drawn together."""
        alike: dict[tuple[float, float, int, int], list[int]] = {}
        for n, turn in enumerate(turns):
            how = turn.decoding
            greedy = how.temperature == 0
            key = (0.0, 1.0, 0, 0) if greedy else (how.temperature, how.top_p, how.top_k, len(turn.token_ids))
            alike.setdefault(key, []).append(n)
        for (*_, step), members in alike.items():
            logits = rows.logits if len(members) == len(turns) else rows.logits[members]
            own = [turns[n] for n in members]
            seeds = torch.tensor([turn.noise for turn in own], device=logits.device)
            drawn = draw(logits, seeds, step, own[0].decoding)
            for n, (turn, token, logprob) in enumerate(
                zip(own, drawn.tokens.tolist(), drawn.logprobs.tolist(), strict=True)
            ):
                self._note(turn, token, logprob, logits[n])

    def _note(self, turn: Turn, token: int, logprob: float, logits: torch.Tensor) -> None:
        if turn.finish:
            return
        if len(turn.token_ids) < len(turn.begins):
            token = turn.begins[len(turn.token_ids)]
            logprob = float(torch.log_softmax(logits, dim=-1)[token])
        if token in self.ends:
            turn.finish = "stop"
            return
        turn.token_ids.append(token)
        turn.logprobs.append(logprob)
        if turn.likeliest:
            best = torch.log_softmax(logits, dim=-1).topk(turn.likeliest)
            turn.likely.append(list(zip(best.indices.tolist(), best.values.tolist(), strict=True)))
        if len(turn.token_ids) == turn.decoding.max_new_tokens:
            turn.finish = "length"

    def close(self) -> None:
        """Nothing of it outlives it."""

    @torch.inference_mode()
    def leave(self) -> None:
        """Lets those that are done go; where rows cannot be left out they stay until all are."""
        going = [n for n, turn in enumerate(self.turns) if not turn.done]
        if self.rows is None or len(going) == len(self.turns):
            return
        if not going:
            self.turns, self.rows = [], None
        elif self.rows.selectable:
            self.rows = self.rows.select(torch.tensor(going, device=self.rows.logits.device))
            self.turns = [self.turns[n] for n in going]


@dataclass
class RiskMonitor:
    """Reads CETT of the detector's neurons at the last position of every row."""

    detector: Classifier
    _columns: tuple[Loaded, _Columns] | None = field(default=None, init=False, repr=False, metadata=ASIDE)

    @contextmanager
    def read(self, loaded: Loaded, rows: int) -> Iterator[Callable[[], Tensor]]:
        """Reads the passes inside; the function gives what each neuron adds to the log-odds of a hallucination, of the
        last one [row, neuron]."""
        at = self._of(loaded)
        seen: dict[int, tuple[Tensor, Tensor]] = {}

        # A pass is short when it reads one token a row: a layer leaves two small tensors, and the sums come at the end.
        def note(layer: int, z: Tensor, h: Tensor) -> None:
            size = torch.linalg.vector_norm(h[:, -1], dim=-1, keepdim=True, dtype=torch.float32)
            seen[layer] = z[:, -1].index_select(1, at.places[layer]), size

        def added() -> Tensor:
            if not seen:
                return torch.zeros((rows, 0))
            z = torch.cat([seen[layer][0].to(at.weight.device) for layer in at.layers], dim=1).float().abs()
            sizes = torch.cat([seen[layer][1].to(at.weight.device) for layer in at.layers], dim=1) + EPSILON
            return (z / sizes.index_select(1, at.of_layer) * at.weight).cpu().index_select(1, at.order)

        with observe(loaded.ffn, rows, note, at.layers, last=True):
            yield added

    def _of(self, loaded: Loaded) -> _Columns:
        if self._columns is None or self._columns[0] is not loaded:
            self._columns = loaded, _Columns.of(self.detector, loaded)
        return self._columns[1]


@dataclass(frozen=True)
class _Columns:
    """Where the detector's neurons are in a model, prepared once: a step of one token leaves little time."""

    layers: tuple[int, ...]
    places: Mapping[int, Tensor]  # by layer: the neurons in it
    of_layer: Tensor  # [neuron]: which of `layers`
    weight: Tensor  # [neuron], with the norm of its column of W_down
    order: Tensor  # [neuron of the detector]: which of these it is

    @classmethod
    def of(cls, detector: Classifier, loaded: Loaded) -> _Columns:
        space, norms = loaded.ffn.space, loaded.column_norms
        by_layer = space.by_layer(detector.columns)
        amounts = dict(zip(detector.columns, detector.weight.tolist(), strict=True))
        layers = tuple(sorted(by_layer))
        order = [(n, layer, index) for n, layer in enumerate(layers) for index in by_layer[layer]]
        weight = [amounts[space.flat(layer, index)] * float(norms[layer][index]) for _, layer, index in order]
        place = {space.flat(layer, index): n for n, (_, layer, index) in enumerate(order)}
        return cls(
            layers=layers,
            places={layer: torch.tensor(by_layer[layer], device=norms[layer].device) for layer in layers},
            of_layer=torch.tensor([n for n, _, _ in order], device=loaded.device),
            weight=torch.tensor(weight, device=loaded.device),
            order=torch.tensor([place[column] for column in detector.columns], dtype=torch.long),
        )
