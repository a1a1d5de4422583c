"""What one run is about, and what it asks: split by group before anything is sampled. Nothing here changes later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hneuro.experiment import Experiment
from hneuro.models.language_model import LanguageModel, chat_model
from hneuro.questions.base import load_together
from hneuro.questions.splits import assert_disjoint, grouped, split_by_group
from hneuro.records import Origin, Question
from hneuro.result_records import FunnelStep
from hneuro.store import Store

Questions = tuple[Question, ...]


@dataclass(frozen=True, kw_only=True)
class QuestionSets:
    """The identification set in its three parts, and the other evaluation sets by name; all of them disjoint."""

    parts: Mapping[str, Questions]  # "fit", "select", "report"
    others: Mapping[str, Questions]
    identification: str  # the name of the set that the parts are of
    origins: Mapping[str, Origin]  # by the name of the data set
    funnel: tuple[FunnelStep, ...]

    @property
    def evaluation(self) -> Mapping[str, Questions]:
        """What detectors are tested on: the held-out part of the identification set comes first."""
        return {self.identification: self.parts["report"], **self.others}

    def all(self) -> Questions:
        return tuple(q for sets in (self.parts, self.others) for questions in sets.values() for q in questions)


def load_questions(setup: Experiment) -> QuestionSets:
    first = setup.identification.name
    found, steps, origins = load_together({first: setup.identification, **setup.evaluation}, setup.limit)
    others, funnel = {}, list[FunnelStep]()
    for name, step in zip(found, steps, strict=True):
        others[name], joined = grouped(found[name], setup.splits.by, name)
        funnel += [step, joined] if name == first else [step]
    parts = split_by_group(others.pop(first), setup.splits, setup.seed)
    assert_disjoint({**parts, **others})
    return QuestionSets(parts=parts, others=others, identification=first, origins=origins, funnel=tuple(funnel))


@dataclass(frozen=True)
class Run:
    """An experiment, what it asks, the store of its results, and its models, which are loaded when they are needed."""

    experiment: Experiment
    store: Store
    asked: QuestionSets

    @classmethod
    def of(cls, experiment: Experiment, store: Store) -> Run:
        return cls(experiment, store, load_questions(experiment))

    @cached_property
    def chat(self) -> LanguageModel:
        return chat_model(self.experiment.model.chat, self.experiment.model)

    @cached_property
    def base(self) -> LanguageModel | None:
        source = self.experiment.model.base
        return LanguageModel(source, self.experiment.model, completion=True) if source else None

    @cached_property
    def checkpoints(self) -> Mapping[str, LanguageModel]:
        """Moments of the base model's pre-training, by name."""
        spec = self.experiment.model
        return {name: LanguageModel(source, spec, completion=True) for name, source in spec.checkpoints.items()}
