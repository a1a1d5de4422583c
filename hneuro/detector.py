"""The detector that a run has trained: saved in its folder, and at work on any answer of its model.

detector = hneuro.Detector.load("outputs/demo/...")
answer = detector.answer("Who wrote Hamlet?")
answer.text, answer.score, answer.flagged, answer.risk
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hneuro import __version__
from hneuro.api import Model, Neuron
from hneuro.codec import from_plain
from hneuro.detection.detector import Classifier
from hneuro.neurons import NeuronSpace
from hneuro.records import AnswerSpan, Question, Response, UserError
from hneuro.result_records import Results

FOLDER = "detector"  # of a run
CARD = """---
library_name: hneuro
tags: [hallucination-detection, interpretability]
---

# A hallucination detector for {model}

A logistic regression on the contributions (CETT) of {count} of {size:,} FFN neurons (H-Neurons, arXiv:2512.01797),
for the checkpoint with this identity alone: `{weights}`. Trained by hneuro {version} on {trained}.

    import hneuro

    hneuro.Detector.load("FOLDER").answer("Who wrote Hamlet?")
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer with its risk of being a hallucination.

    `tokens`: their texts, which join to `text`. `risk` [token] in [0, 1]: the detector at each token alone. `score`:
    the detector at the tokens that state the answer, `stated`, as it was trained; above `threshold` the answer is
    `flagged`. Both are what the regression says on balanced data, not frequencies. Where no answer was found, `score`
    is NaN and `unchecked` says why.
    """

    question: str
    text: str
    tokens: tuple[str, ...]
    risk: NDArray[np.float64]
    stated: tuple[int, ...]
    score: float
    threshold: float
    unchecked: str = ""

    @property
    def flagged(self) -> bool:
        return bool(self.score > self.threshold)


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token as it is generated, and the detector's risk there."""

    text: str
    risk: float


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A classifier with what it needs to read an answer: its model, where the answer is, where CETT is read."""

    classifier: Classifier  # on flat neurons
    space: NeuronSpace
    position: str  # "token", "predicting", or "last_prompt"
    span: Mapping[str, Any]  # the config of what finds the answer
    model_config: Mapping[str, Any]
    weights: str  # the identity of the model's checkpoint
    trained: str  # on what, in words

    @classmethod
    def of_run(cls, results: Results, config: Mapping[str, Any]) -> Detector:
        own, space = results.detector, results.space
        assert own is not None
        assert space is not None
        return cls(
            classifier=Classifier.of(own),
            space=space,
            position=own.position,
            span=config["span"],
            model_config=config["model"],
            weights=own.checkpoint,
            trained=own.trained,
        )

    @classmethod
    def load(cls, folder: str | Path) -> Detector:
        """From the folder of a run, or from one that `save` has written. `UserError` where there is none."""
        place = Path(folder)
        place = place / FOLDER if (place / FOLDER).is_dir() else place
        try:
            known = json.loads((place / "detector.json").read_text(encoding="utf-8"))
            arrays = load_file(place / "detector.safetensors")
            classifier = Classifier(
                columns=tuple(arrays["neurons"].tolist()),
                weight=arrays["weight"],
                bias=known.pop("bias"),
                threshold=known.pop("threshold"),
            )
            return cls(classifier=classifier, space=from_plain(NeuronSpace, known.pop("space")), **known)
        except FileNotFoundError as fault:
            raise UserError(f"{folder} has no detector: name the folder of a finished run") from fault
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as fault:
            raise UserError(f"the detector in {place} cannot be read: {' '.join(str(fault).split())}") from fault

    def save(self, folder: str | Path) -> Path:
        """Writes detector.safetensors, detector.json and a model card: a few kB, in the layout of a hub repository."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        own = self.classifier
        save_file(
            {"neurons": np.array(own.columns, dtype=np.int64), "weight": own.weight}, place / "detector.safetensors"
        )
        known = {
            "bias": own.bias,
            "threshold": own.threshold,
            "space": asdict(self.space),
            "position": self.position,
            "span": dict(self.span),
            "model_config": dict(self.model_config),
            "weights": self.weights,
            "trained": self.trained,
        }
        (place / "detector.json").write_text(json.dumps(known, indent=1, ensure_ascii=False), encoding="utf-8")
        card = CARD.format(
            model=self.model_config["name"],
            count=len(own.columns),
            size=self.space.size,
            weights=self.weights,
            version=__version__,
            trained=self.trained,
        )
        (place / "README.md").write_text(card, encoding="utf-8")
        return place

    @property
    def neurons(self) -> tuple[Neuron, ...]:
        """(layer, index) of each."""
        return tuple(self.space.locate(neuron) for neuron in self.classifier.columns)

    @cached_property
    def model(self) -> Model:
        """The model that it was trained on; `UserError` where the checkpoint is another one by now."""
        from hneuro.config import build

        model = Model(build(_ours(self.model_config), "model"))
        found = str(model.spec.chat.identity())
        if found != self.weights:
            raise UserError(
                f"the detector is of another model: of {self.model_config['name']} with the weights {self.weights}, "
                f"and {model.spec.chat.locate()} has {found}"
            )
        return model

    def answer(self, question: str, max_new_tokens: int = 48) -> Answer:
        """Asks the model, greedily, and scores what it says."""
        return self._scored(question, self.model.answer_ids(question, max_new_tokens))

    def score(self, question: str, answer: str) -> Answer:
        """Scores an answer that was given elsewhere, as if the model had said it."""
        return self._scored(question, self.model.token_ids(answer))

    def _scored(self, question: str, ids: tuple[int, ...]) -> Answer:
        from hneuro.config import build
        from hneuro.contributions.extract import extract
        from hneuro.contributions.regions import places, reading_weights
        from hneuro.spans.tokens import token_texts

        model = self.model.language_model
        prompt = model.prompt_ids(question)
        if not ids:
            raise UserError("an answer without text cannot be scored")
        asked = Question(id="", dataset="", text=question, answers=(), entity="")
        said = Response(
            question_id="",
            sample=0,
            prompt_ids=prompt,
            token_ids=ids,
            text=model.text_of(ids),
            logprobs=(),
            entropies=(),
        )
        span: AnswerSpan = build(_ours(self.span), "span").locate([(asked, said)], model.text_of)[0]
        last = self.position == "last_prompt"
        stated = [len(prompt) - 1] if last else places(span.tokens, len(prompt), self.position)
        weights = reading_weights(len(prompt), len(ids), stated, self.position)
        read = extract(model.loaded, [(*prompt, *ids)], [weights], len(prompt) + len(ids), only=self.classifier.columns)
        risks = self.classifier.on_columns().risk(read[0])
        return Answer(
            question=question,
            text=said.text,
            tokens=tuple(token_texts(ids, model.text_of)),
            risk=risks[:-1],
            stated=span.tokens,
            score=float(risks[-1]) if stated else float("nan"),
            threshold=float(1 / (1 + np.exp(-self.classifier.threshold))),
            unchecked="" if stated else span.reason or "no answer was found in the text",
        )

    def stream(self, question: str, max_new_tokens: int = 48) -> Iterator[Token]:
        """The greedy answer token by token, with the risk at each, at the price of a forward pass a token."""
        import torch

        from hneuro.detection.monitor import RiskMonitor
        from hneuro.models.edits import UNTOUCHED
        from hneuro.responses.generate import end_ids
        from hneuro.responses.rows import begin

        model = self.model.language_model
        ends, said, shown = end_ids(model.loaded.model), list[int](), ""
        with torch.inference_mode(), RiskMonitor(self.classifier).read(model.loaded, 1) as log_odds:
            rows = begin(model.loaded, 0, [(model.prompt_ids(question), UNTOUCHED)])
            before = float(log_odds())
            for _ in range(max_new_tokens):
                token = rows.logits.argmax(dim=-1)
                if int(token) in ends:
                    return
                rows = rows.step(token)
                said.append(int(token))
                at_token = float(log_odds())
                text = model.text_of(said)
                if not text.endswith("\ufffd"):  # an unfinished character is shown with what finishes it
                    yield Token(
                        text=text[len(shown) :], risk=_sigmoid(at_token if self.position == "token" else before)
                    )
                    shown = text
                before = at_token


def _sigmoid(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))


def _ours(node: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a part, all of whose classes are hneuro's: a file from elsewhere must not name others."""

    def check(value: Any) -> None:
        if isinstance(value, Mapping):
            if not str(value.get("_target_", "hneuro.")).startswith("hneuro."):
                raise UserError(f"the detector names a class that is not of hneuro: {value['_target_']}")
            for part in value.values():
                check(part)

    check(node)
    return dict(node)
