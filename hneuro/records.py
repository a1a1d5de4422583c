"""Every record that flows between the stages. Read this file first.

Axis names, used in shapes throughout the project:

    question   one question of a data set
    sample     one of several responses to the same question
    token      a position in prompt + response, as the model saw it
    layer      a decoder layer, 0 at the input
    index      an FFN neuron inside its layer, a column of W_down
    neuron     flat number of a neuron: layer * width + index
    region     a named set of token positions of one response ("answer", "other", ...)
    row        one training or test row of the probe: a (question, sample, region) with a label
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 16 << 20  # of rows that are looked at together
# Metadata of a field of a part that says how it works, not what comes out: no key of a result depends on it.
ASIDE: Mapping[str, bool] = {"aside": True}


class UserError(Exception):
    """Something the user can put right. Shown as one line, without a traceback; exit code 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its gold answers. What shares a `group` stays on one side of every split and resample."""

    id: str
    dataset: str
    text: str  # as it is put to the model; with its lettered options, where it has any
    answers: tuple[str, ...]  # of a multiple-choice question: the texts of its right options
    entity: str  # what it is about
    group: str = ""  # the entity, until questions.groups has joined what shares an answer
    answerable: bool = True  # False: about something that does not exist, so that answering is the hallucination
    options: tuple[str, ...] = ()  # of a multiple-choice question, in the order of their letters A, B, ...
    candidates: tuple[str, ...] = ()  # names of every answer of its kind, right ones included, where all are known
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", self.group or self.entity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the rows of a data set came from, for the record."""

    source: str  # a path, a hub id with its config and split or files, or what made them
    revision: str  # the commit that a hub id stood for; "" elsewhere
    fingerprint: str  # sha256 of the rows, in the columns that were read
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the model said. `token_ids` are the generated ids, as generated: never re-tokenised. `text` is the answer,
    without the reasoning before it.

    `logprobs` and `entropies` have a value for each token, or are empty where the engine does not give them.
    """

    question_id: str
    sample: int
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    text: str
    logprobs: tuple[float, ...]  # natural log-probability of each generated token at temperature 1, in nats
    entropies: tuple[float, ...]  # entropy of the next-token distribution at each generated token, in nats
    lost: str = ""  # why it cannot be used; it stays in the data, unjudged
    truncated: bool = False  # it was cut at the limit of new tokens; False where the engine does not say
    thought: int = 0  # tokens of reasoning before the answer


class Verdict(str, Enum):
    CORRECT = "correct"
    WRONG = "wrong"
    REFUSED = "refused"
    UNJUDGED = "unjudged"  # the judge failed: never counted as wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one of several judges says of a response."""

    judge: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A question that the model answers rightly in all its samples, and its most frequent response."""

    question: Question
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, who gave it and why. What stands before the first colon of an UNJUDGED's `reason` is its kind."""

    question_id: str
    sample: int
    verdict: Verdict
    judge: str
    reason: str
    votes: tuple[Vote, ...] = ()  # of the judges who were asked, where there are several


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledResponse:
    """A response chosen to stand for its question, with the label that the probe learns: y = 1 is a hallucination."""

    question_id: str
    group: str
    sample: int
    hallucinated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpan:
    """Which generated tokens state the answer: positions in `Response.token_ids`, ascending, perhaps with gaps.

    An empty `tokens` means that the span was not located, and `reason` says why.
    """

    question_id: str
    sample: int
    tokens: tuple[int, ...]
    text: str
    method: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronSpace:
    """The FFN neurons of a decoder: `n_layers` layers of `width` neurons each.

    In a mixture of experts those of a layer belong to its `experts`, one after the other, as many to each. Where layers
    differ, or have neurons outside the experts, `layers` has (experts, neurons of each, other neurons) of every
    layer, in which the others come last; `width` and `experts` are then the most that a layer has.
    """

    n_layers: int
    width: int
    experts: int = 1
    layers: tuple[tuple[int, int, int], ...] = field(default=(), metadata=ASIDE)  # keys name the model

    @property
    def size(self) -> int:
        return self.starts[-1]

    @property
    def starts(self) -> tuple[int, ...]:
        """The first neuron of each layer, and at the end the number of all."""
        return _starts(self)

    def flat(self, layer: int, index: int) -> int:
        if not (0 <= layer < self.n_layers and 0 <= index < self.width_of(layer)):
            raise IndexError(f"neuron ({layer}, {index}) is outside {self.n_layers} layers of {self.width}")
        return self.starts[layer] + index

    def width_of(self, layer: int) -> int:
        return self.starts[layer + 1] - self.starts[layer]

    def locate(self, neuron: int) -> tuple[int, int]:
        if not 0 <= neuron < self.size:
            raise IndexError(f"neuron {neuron} is outside {self.size} neurons")
        layer = bisect_right(self.starts, neuron) - 1
        return layer, neuron - self.starts[layer]

    def address(self, neuron: int) -> tuple[int, int | None, int]:
        """(layer, expert, index in it); the expert is None for a neuron that belongs to none of several."""
        layer, index = self.locate(neuron)
        experts, each = self.experts, self.width // self.experts
        if self.layers:
            experts, each, _ = self.layers[layer]
        elif experts == 1:
            return layer, None, index
        if index < experts * each:
            return layer, *divmod(index, each)
        return layer, None, index - experts * each

    def by_layer(self, neurons: Iterable[int]) -> dict[int, list[int]]:
        """Layer -> indices in that layer, both ascending."""
        found: dict[int, list[int]] = {}
        for neuron in sorted(neurons):
            layer, index = self.locate(neuron)
            found.setdefault(layer, []).append(index)
        return found


@lru_cache(maxsize=64)
def _starts(space: NeuronSpace) -> tuple[int, ...]:
    widths = [experts * each + others for experts, each, others in space.layers] or [space.width] * space.n_layers
    return tuple(accumulate(widths, initial=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """Pooled CETT of responses. `values` [response, region, neuron] float32, often a read-only memory map.

    `by_neuron` has the same vectors, in the order response by response and region by region, where they are many.
    """

    values: NDArray[np.float32]
    keys: tuple[tuple[str, int], ...]  # (question_id, sample) of each response
    regions: tuple[str, ...]
    space: NeuronSpace
    by_neuron: ByNeuron | None = None

    @property
    def table(self) -> NDArray[np.float32]:
        """[vector, neuron]: all regions of the first response, then those of the second, ..."""
        return self.values.reshape(-1, self.space.size)

    def lines(self, keys: Sequence[tuple[str, int]], region: str) -> NDArray[np.intp]:
        """The place in `table` of each key's vector of a region; KeyError names a key that was not extracted."""
        where = {key: row for row, key in enumerate(self.keys)}
        found = np.array([where[key] for key in keys], dtype=np.intp)
        return found * len(self.regions) + self.regions.index(region)


class ByNeuron(Protocol):
    """A table of vectors neuron by neuron, which may be larger than memory: what a pass over all neurons reads."""

    n_rows: int

    def true_columns(self, neurons: NDArray[np.intp]) -> NDArray[np.float32]:
        """[neuron, vector] of some neurons."""

    def true_blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first neuron, [neuron, vector]) of all of them in order; a block is valid only until the next one."""


class LabelledRows(Protocol):
    """Labelled rows of which some columns can be read."""

    @property
    def y(self) -> NDArray[np.int8]:
        """[row] in {0, 1}."""

    @property
    def groups(self) -> NDArray[np.str_]:
        """[row]: the entity of each question."""

    def columns(self, neurons: Sequence[int]) -> NDArray[np.float32]:
        """[row, k]: the values of k neurons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRows:
    """Rows for the probe: y [row] in {0, 1}, groups [row] the entity of each question, and where their vectors are.

    `table` [vector, neuron] float32 is often a memory map larger than memory, of which only some columns may be read;
    `lines` [row] says which of its vectors each row is. `by_neuron` is the same table neuron by neuron, where it was
    made because it is large.
    """

    table: NDArray[np.float32]
    lines: NDArray[np.intp]
    y: NDArray[np.int8]
    groups: NDArray[np.str_]
    space: NeuronSpace
    by_neuron: ByNeuron | None = None

    @classmethod
    def of(cls, x: NDArray[np.float32], y: NDArray[np.int8], groups: NDArray[np.str_], space: NeuronSpace) -> ProbeRows:
        """Rows that are the lines of x [row, neuron]."""
        return cls(table=x, lines=np.arange(len(x)), y=y, groups=groups, space=space)

    def at(self, rows: NDArray[np.intp]) -> ProbeRows:
        """Some of the rows, in this order; a row may come back."""
        return replace(self, lines=self.lines[rows], y=self.y[rows], groups=self.groups[rows])

    def columns(self, neurons: Sequence[int]) -> NDArray[np.float32]:
        """[row, k]: the values of k neurons."""
        chosen = np.asarray(neurons, dtype=np.intp)
        if self.by_neuron is not None:
            return self.by_neuron.true_columns(chosen)[:, self.lines].T
        return self.table[self.lines[:, None], chosen]

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first neuron, [row, neuron]) over all neurons in order; a block is valid only until the next one."""
        if self.by_neuron is not None:
            for low, block in self.by_neuron.true_blocks():
                yield low, block[:, self.lines].T
            return
        width = max(1, BLOCK_BYTES // (4 * max(1, len(self.lines))))
        for low in range(0, self.space.size, width):
            yield low, self.table[self.lines, low : low + width]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A linear probe over all neurons: score = x @ weight + bias. `strength` is C, or the count of a ranking."""

    weight: NDArray[np.float64]
    bias: float
    strength: float
    space: NeuronSpace
    gap: float | None = None  # relative duality gap that proves the optimum, where the selection has one

    def scores(self, rows: LabelledRows) -> NDArray[np.float64]:
        """Decision values [row] (log-odds of a hallucination)."""
        used = np.flatnonzero(self.weight)
        return np.asarray(rows.columns(used.tolist()), dtype=np.float64) @ self.weight[used] + self.bias

    @property
    def positive(self) -> tuple[int, ...]:
        return tuple(int(n) for n in np.flatnonzero(self.weight > 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class HNeurons:
    """The neurons with positive weight, heaviest first, and how they were selected ("l1", "elastic_net", "ranking")."""

    neurons: tuple[int, ...]
    weights: tuple[float, ...]
    space: NeuronSpace
    selection: str

    @property
    def per_mille(self) -> float:
        return 1000.0 * len(self.neurons) / self.space.size


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkItem:
    """One prompt of a compliance benchmark.

    `comply` and `resist` are continuations of the assistant's turn; the second reading of compliance is
    P(comply) / (P(comply) + P(resist)) under the model, each by its mean log-probability a token.
    """

    id: str
    benchmark: str
    messages: tuple[Mapping[str, str], ...]  # chat messages: {"role": ..., "content": ...}
    comply: tuple[str, ...]
    resist: tuple[str, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    follow_ups: tuple[str, ...] = ()  # what the user says after each reply but the last; empty: one turn


class Outcome(str, Enum):
    COMPLIES = "complies"
    RESISTS = "resists"
    REFUSED = "refused"  # says neither, and says so
    DECLINED = "declined"  # refuses where that is to resist: counted as resisting, and among the refused
    UNPARSED = "unparsed"  # neither was found: left out of the rate, and counted
    EXCLUDED = "excluded"  # the prompt tests nothing here: a doubted answer that was wrong to begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The untouched model's first reply to a prompt that goes on after it."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepAnswer:
    """What one prompt gave under one set of neurons at one alpha."""

    item_id: str
    neuron_set: str  # "h_neurons", "ranked", a variant "h_neurons@mean", a control "h_neurons/random", "untouched"
    seed: int  # which of the control sets; 0 for the set itself
    alpha: float
    replies: tuple[str, ...]  # one a turn
    p_comply: float | None  # None where the benchmark has no continuations to compare
    truncated: bool  # a reply hit the limit of new tokens
    mass: float | None = None  # probability of all continuations that p_comply compares, given what they share


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer amounts to. `grade` in [0, 1]: how far it complies, where that is graded."""

    outcome: Outcome
    grade: float | None = None
    reason: str = ""
