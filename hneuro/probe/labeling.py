"""The labeling modes: which pooled vectors become rows of the probe, and with which label (paper, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from hneuro.neurons import Contributions, ProbeRows
from hneuro.records import LabelledResponse


@runtime_checkable
class Labeling(Protocol):
    """The part named by `labeling`."""

    @property
    def name(self) -> str:
        """As tables name it."""

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that its rows are made from."""

    @property
    def tested(self) -> str:
        """The region that detectors read, in training and in use, whatever else the probe was trained on."""

    @property
    def letters(self) -> bool:
        """Whether it is for answers by letter alone."""

    def rows(self, found: Contributions, labelled: Sequence[LabelledResponse]) -> ProbeRows:
        """The training rows of these responses."""


class Pooled:
    """Rows from pooled vectors: those of the region `tested` with their labels, and y = 0 at `contrast`, if any."""

    tested: ClassVar[str] = "answer"
    contrast: ClassVar[str | None] = None
    letters: ClassVar[bool] = False

    def rows(self, found: Contributions, labelled: Sequence[LabelledResponse]) -> ProbeRows:
        own = region_rows(found, labelled, self.tested)
        if self.contrast is None:
            return own
        others = region_rows(found, labelled, self.contrast)
        return replace(
            own,
            lines=np.concatenate([own.lines, others.lines]),
            y=np.concatenate([own.y, np.zeros_like(others.y)]),
            groups=np.concatenate([own.groups, others.groups]),
        )


@dataclass(frozen=True, kw_only=True)
class OneVsOne(Pooled):
    """The answer vector of each response: y = 1 if it is hallucinated."""

    name: str = "1-vs-1"
    regions: tuple[str, ...] = ("answer",)


@dataclass(frozen=True, kw_only=True)
class ThreeVsOne(Pooled):
    """y = 1: answer vectors of hallucinated responses; y = 0: those of faithful ones, and the other tokens of both.

    The contrast with other tokens keeps neurons out that are busy at any token of a hallucinated response.
    """

    name: str = "3-vs-1"
    regions: tuple[str, ...] = ("answer", "other")
    contrast: ClassVar[str | None] = "other"


@dataclass(frozen=True, kw_only=True)
class OtherTokens(Pooled):
    """1-vs-1 at all other tokens of the sequence: what is left to be found where the answer is not looked at."""

    name: str = "1-vs-1-other"
    regions: tuple[str, ...] = ("other",)
    tested: ClassVar[str] = "other"


@dataclass(frozen=True, kw_only=True)
class LettersContrastive(Pooled):
    """y = 1: the predicted letter where it is wrong; y = 0: where it is right, and the last prompt token of both."""

    name: str = "mcq-contrastive"
    regions: tuple[str, ...] = ("answer", "last_prompt")
    contrast: ClassVar[str | None] = "last_prompt"
    letters: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class LettersForeseen(Pooled):
    """The last prompt token, before any letter is fed to the model: y = 1 if the one that it predicts is wrong."""

    name: str = "mcq-non-contrastive"
    regions: tuple[str, ...] = ("last_prompt",)
    tested: ClassVar[str] = "last_prompt"
    letters: ClassVar[bool] = True


def permuted(labelled: Sequence[LabelledResponse], seed: int) -> tuple[LabelledResponse, ...]:
    """The same responses with the labels dealt out to the groups in another order of them.

    As many are hallucinated as before, and labels that belong together mostly stay so, also where groups differ in
    size: if labels mean nothing, this is as likely as what was found.
    """
    places: dict[str, list[int]] = {}
    for place, response in enumerate(labelled):
        places.setdefault(response.group, []).append(place)
    groups = [places[group] for group in sorted(places)]
    order = np.random.default_rng(seed).permutation(len(groups))
    dealt = (labelled[place].hallucinated for n in order.tolist() for place in groups[n])
    label = dict(zip((place for own in groups for place in own), dealt, strict=True))
    return tuple(replace(response, hallucinated=label[place]) for place, response in enumerate(labelled))


def region_rows(found: Contributions, labelled: Sequence[LabelledResponse], region: str) -> ProbeRows:
    """One row a response, its vector of this region: those of `Labeling.tested` are what detectors are tested on."""
    return ProbeRows(
        table=found.table,
        lines=found.lines([(r.question_id, r.sample) for r in labelled], region),
        y=np.array([r.hallucinated for r in labelled], dtype=np.int8),
        groups=np.array([r.group for r in labelled], dtype=np.str_),
        space=found.space,
        by_neuron=found.by_neuron,
    )
