"""What the steps of one run share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hneuro.experiment import Experiment
from hneuro.models.language_model import LanguageModel, chat_model
from hneuro.records import Judgement, Origin, Question, Response
from hneuro.result_records import FunnelStep
from hneuro.store import Store


@dataclass
class Context:
    """An experiment, its store, its models, and what grows step by step: funnel, origins of the data, judgements."""

    experiment: Experiment
    store: Store
    funnel: list[FunnelStep] = field(default_factory=list)
    data: dict[str, Origin] = field(default_factory=dict)  # by the name of the data set
    judged: list[tuple[Question, Response, Judgement]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)  # questions of each part and evaluation set
    announced: bool = False  # what the run costs

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
