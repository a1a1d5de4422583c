"""One run as plain values and parts: what the config says, checked and built."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.known import KNOWN_FACTS, KnownBenchmark
from hneuro.causal.grid import SweepSettings
from hneuro.causal.perplexity import Text
from hneuro.contributions.regions import ContributionSettings
from hneuro.detection.evaluate import DetectionSettings
from hneuro.detection.mechanism.settings import MechanismSettings
from hneuro.disk import safe_name
from hneuro.endpoint.client import Endpoint
from hneuro.models.spec import ModelSpec
from hneuro.origin.drift import OriginSettings
from hneuro.probe.attribution import Attribution
from hneuro.probe.choice import Choice
from hneuro.probe.labeling import Labeling
from hneuro.probe.selectors import Selector
from hneuro.probe.stability import StabilitySettings
from hneuro.questions.base import QuestionSource
from hneuro.questions.splits import Splits
from hneuro.records import UserError
from hneuro.responses.sampler import Sampler
from hneuro.responses.vllm import VllmSampler
from hneuro.spans.base import SpanLocator
from hneuro.tracking import Tracker
from hneuro.verdicts.base import Judge

Stage = Literal["responses", "verdicts", "contributions"]


INPUT = re.compile(r"(^|[._])(path|paths\.\d+|counts|patch)$")  # keys that name a file to read
PLAIN = (str, int, float, bool)  # types that the schema has checked
ENDINGS = (".jsonl", ".json", ".csv", ".parquet", ".txt", ".gguf")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One combination of model, dataset, labeling, selection path and alpha grid."""

    name: str
    seed: int
    model: ModelSpec
    dataset: str
    identification: QuestionSource
    evaluation: Mapping[str, QuestionSource]
    limit: int | None
    answer_tokens: int
    splits: Splits
    sampling: Sampler
    judge: Judge
    span: SpanLocator
    max_span_loss: float
    contribution: ContributionSettings
    labeling: Labeling
    probe: Selector
    choice: Choice
    stability: StabilitySettings
    detection: DetectionSettings
    origin: OriginSettings
    mechanism: MechanismSettings
    benchmarks: Mapping[str, Benchmark | KnownBenchmark]
    intervention: SweepSettings
    text: Text
    tracker: Tracker
    output_dir: str
    store_dir: str
    stop_early: bool  # whether a question whose samples disagree is not sampled further
    quiet: bool
    report: bool  # whether the page, its tables and figures are made
    until: Stage | None  # the stage after which it stops; None: it goes on to the report
    shard: int | None  # one of several jobs up to that stage, which take the store's open shards from each other
    identity: str  # digest of everything that decides the results
    config: Mapping[str, Any]  # the composed config, for the record

    def __post_init__(self) -> None:
        for key, kind in get_type_hints(type(self)).items():
            part = getattr(self, key)
            if isinstance(kind, type) and kind not in PLAIN and not isinstance(part, kind):
                where = "dataset.identification" if key == "identification" else key
                raise UserError(f"{where}: a {type(part).__name__} does not fit here, a {kind.__name__} is needed")
        self._check_numbers()
        self._check_names()
        if not 0 <= self.max_span_loss <= 1:
            raise UserError(f"max_span_loss is a share: it must be between 0 and 1, not {self.max_span_loss}")
        if self.until is not None and self.until not in get_args(Stage):
            raise UserError(f"until: {self.until!r} is not a stage to stop after: {', '.join(get_args(Stage))} or null")
        if self.shard is not None and self.until is None:
            raise UserError(
                "shard: several jobs share the work up to a stage, then one continues: add until=contributions, give "
                "the same command without shard and until when they are done"
            )
        self._check_letters()
        self._check_regions()
        self._check_engine()

    def _check_numbers(self) -> None:
        """What parts do not say themselves: no arithmetic survives a NaN, and no generator takes a negative seed."""
        for key, value in _leaves(self.config, ""):
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{key} must be a finite number, not {value}")
            if key.rpartition(".")[2].endswith("seed") and isinstance(value, int) and not 0 <= value < 1 << 32:
                raise UserError(f"{key} must be between 0 and 2^32 - 1, not {value}")
        for key, count in (("dataset.limit", self.limit), ("dataset.answer_tokens", self.answer_tokens)):
            if count is not None and count < 1:
                raise UserError(f"{key} must be at least 1, not {count}")
        if self.shard is not None and self.shard < 0:
            raise UserError(f"shard must not be negative, and is {self.shard}")

    def _check_names(self) -> None:
        for key, said in (
            ("name", self.name),
            ("model.name", self.model.name),
            ("dataset.name", self.dataset),
            ("output_dir", self.output_dir),
            ("store_dir", self.store_dir),
        ):
            if not said.strip():
                raise UserError(f"{key} must not be empty")
        if self.identification.name in self.evaluation:
            name = self.identification.name
            raise UserError(
                f"dataset.evaluation.{name}: the identification set has this name, and its held-out part is tested as "
                f"{name} already: leave it out (~dataset.evaluation.{name}), or name it otherwise"
            )

        names = [KNOWN_FACTS, *(benchmark.name for benchmark in self.benchmarks.values())]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"benchmark: two of them are called {twice} in the tables: run them one after the other")

    def _check_letters(self) -> None:
        """Answers by letter are sampled, judged and labelled as such."""
        if self.sampling.letters != self.judge.letters:
            sampled, judged = ("letters", "texts") if self.sampling.letters else ("texts", "letters")
            raise UserError(
                f"sampling gives {sampled} and judge reads {judged}: choose sampling=letters with judge=letter, "
                "and other sampling with other judges"
            )
        if self.span.letters and not self.sampling.letters:
            raise UserError("span finds the letters of options and sampling gives texts: choose another span")
        if self.labeling.letters and not self.sampling.letters:
            raise UserError(
                f"labeling {self.labeling.name} is for multiple choice: choose sampling=letters and judge=letter too"
            )
        if {"answer", "last_prompt"} <= set(self.labeling.regions) and self.contribution.position == "predicting":
            raise UserError(
                f"labeling {self.labeling.name} contrasts the answer with the last prompt token, which are the same "
                "position with contribution.position=predicting: choose contribution.position=token"
            )

    def _check_regions(self) -> None:
        missing = set(self.labeling.regions) - set(self.contribution.regions)
        if missing:
            raise UserError(
                f"labeling {self.labeling.name} needs the region {', '.join(sorted(missing))}: "
                f"add it to contribution.regions, which is {list(self.contribution.regions)}"
            )

    def _check_engine(self) -> None:
        if self.intervention.engine == "vllm" and not isinstance(self.sampling, VllmSampler):
            raise UserError(
                "intervention.engine=vllm sweeps with the engine of sampling=vllm, but sampling is a "
                f"{type(self.sampling).__name__}: choose sampling=vllm, or intervention.engine=transformers"
            )

    def check_inputs(self) -> None:
        """`UserError` names every file of the config that is not there: the first thing that a run looks at."""
        for key, folder in (("output_dir", self.output_dir), ("store_dir", self.store_dir)):
            nearest = next(p for p in (Path(folder), *Path(folder).absolute().parents) if os.path.lexists(p))
            if not nearest.is_dir():
                raise UserError(f"{key}={folder}: {nearest} is not a folder: choose another {key}")
        files = {key: value for key, value in _leaves(self.config, "") if INPUT.search(key) and _is_local(value)}
        gone = [f"{key}: the file {file}" for key, file in files.items() if not Path(file).expanduser().exists()]
        if gone:
            raise UserError(f"{'; '.join(gone)} does not exist")
        for key, file in files.items():
            if Path(file).suffix in ENDINGS and not Path(file).expanduser().is_file():
                raise UserError(f"{key}: {file} is a folder or a device, and a file is read here")
        asked = next(self._endpoints(), None)
        if asked and find_spec("openai") is None:
            raise UserError(
                f"{asked} is asked with the package openai, which is missing: pip install 'hneuro[endpoint]'"
            )

    def _endpoints(self) -> Iterator[str]:
        """The keys of the servers that the run asks."""
        asked = ("sampling",) if self.until == "responses" else tuple(self.config)
        for key, value in _leaves({name: self.config.get(name) for name in asked if name != "grader"}, ""):
            if key.endswith("._target_") and value == f"{Endpoint.__module__}.{Endpoint.__qualname__}":
                yield key.removesuffix("._target_")

    @property
    def by_effect(self) -> bool:
        """Whether neurons are selected by what they do, and not by what they tell."""
        return isinstance(self.probe, Attribution)

    @property
    def run_name(self) -> str:
        """Where the run lands below `output_dir`: the same config, the same place."""
        parts = (self.model.name, self.dataset, self.labeling.name, self.identity[:8])
        run = f"{safe_name(self.name)}/{'--'.join(map(safe_name, parts))}"
        return run if self.shard is None else f"{run}/shard-{self.shard}"


def _is_local(path: Any) -> bool:
    """Whether it is a path, and cannot be the id of a data set or model."""
    return isinstance(path, str) and (path.startswith(("/", "./", "../", "~")) or Path(path).suffix in ENDINGS)


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """All plain values of a config, by their dotted keys."""
    if isinstance(node, Mapping | list | tuple):
        for name, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node
