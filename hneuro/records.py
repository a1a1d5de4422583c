"""The records that flow between the stages; those of neurons and probes are in neurons.py. Read this file first.

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

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

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
    group: str = ""  # the entity, until questions.splits has joined what shares an answer
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
    """A verdict, who gave it and why. What comes before the first colon of an UNJUDGED's `reason` is its kind."""

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
    """The untouched model's first reply to a prompt that continues after it."""

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
