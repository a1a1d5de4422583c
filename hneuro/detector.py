"""The detector that a run has trained: saved in its folder, and at work on any answer of its model.

detector = hneuro.Detector.load("outputs/demo/...")
answer = detector.answer("Who wrote Hamlet?")
answer.text, answer.score, answer.flagged, answer.risk
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hneuro import detector_files
from hneuro.api import Model, Neuron
from hneuro.detection.detector import Classifier
from hneuro.neurons import NeuronSpace
from hneuro.records import AnswerSpan, Question, Response, UserError
from hneuro.result_records import Calibration, Results

if TYPE_CHECKING:
    from hneuro.detection.live import Turn


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer with its risk of being a hallucination.

    `tokens`: their texts, which join to `text`. `risk` [token] in [0, 1]: the detector at each token alone. `score`:
    the detector at the tokens that state the answer, `stated`, as it was trained; above `threshold` the answer is
    `flagged`. Both are what the regression says on balanced data, not frequencies; `probability` is one, calibrated on
    held-out answers, and None without any. Where no answer was found, `score` is NaN and `unchecked` says why.
    `added` [token, neuron]: what each of the detector's neurons adds to the log-odds of a token's risk.
    """

    question: str
    text: str
    tokens: tuple[str, ...]
    risk: NDArray[np.float64]
    stated: tuple[int, ...]
    score: float
    threshold: float
    unchecked: str = ""
    probability: float | None = None
    added: NDArray[np.floating] | None = None

    @property
    def flagged(self) -> bool | None:
        """None where it is unchecked."""
        return None if self.unchecked else bool(self.score > self.threshold)


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
    calibration: Calibration | None = None

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
            calibration=results.calibration,
        )

    @classmethod
    def load(cls, folder: str | Path) -> Detector:
        """From the folder of a run, or from one that `save` has written. `UserError` where there is none."""
        return cls(**detector_files.read(Path(folder)))

    def save(self, folder: str | Path) -> Path:
        """Writes detector.safetensors, detector.json and a model card: a few kB, in the layout of a hub repository."""
        return detector_files.write(Path(folder), **{one.name: getattr(self, one.name) for one in fields(self)})

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

    def calibrated(self, calibration: Calibration | None) -> Detector:
        """The same detector with another calibration, and the same model, whose weights are loaded once."""
        other = replace(self, calibration=calibration)
        other.__dict__["model"] = self.model
        return other

    def answer(self, question: str, max_new_tokens: int = 48) -> Answer:
        """Asks the model, greedily, and scores what it says."""
        return self._scored(question, self.model.answer_ids(question, max_new_tokens))

    def score(self, question: str, answer: str) -> Answer:
        """Scores an answer that was given elsewhere, as if the model had said it."""
        return self._scored(question, self.model.token_ids(answer))

    def _scored(self, question: str, ids: tuple[int, ...]) -> Answer:
        from hneuro.contributions.extract import extract
        from hneuro.contributions.regions import places, reading_weights

        model = self.model.language_model
        prompt = model.prompt_ids(question)
        if not ids:
            raise UserError("an answer without text cannot be scored")
        if (whole := len(prompt) + len(ids)) > (model.context or whole):
            raise UserError(f"prompt and answer have {whole} tokens, and the model reads {model.context}: shorten them")
        span = self._span_of(question, prompt, ids)
        last = self.position == "last_prompt"
        stated = [len(prompt) - 1] if last else places(span.tokens, len(prompt), self.position)
        weights = reading_weights(len(prompt), len(ids), stated, self.position)
        read = extract(model.loaded, [(*prompt, *ids)], [weights], len(prompt) + len(ids), only=self.classifier.columns)
        log_odds = self.classifier.on_columns().scores(read[0])
        found = self._answer(question, ids, span, log_odds[:-1], float(log_odds[-1]) if stated else float("nan"))
        return replace(found, added=read[0][:-1] * self.classifier.weight)

    def read(self, question: str, turn: Turn) -> Answer:
        """The answer of a turn that has been read while it was generated: what `score` says of the same tokens.

        The log-odds are linear in CETT, so that their mean is those of the mean. `UserError` where nothing was said.
        """
        from hneuro.contributions.regions import places

        ids, log_odds = tuple(turn.token_ids), np.array(turn.log_odds)
        if not ids:
            raise UserError("an answer without text cannot be scored")
        span = self._span_of(question, turn.prompt_ids, ids)
        stated = [0] if self.position == "last_prompt" else places(span.tokens, 1, self.position)
        score = float(log_odds[stated].mean()) if stated else float("nan")
        found = self._answer(question, ids, span, np.array(self.at_tokens(turn)), score)
        return replace(found, added=np.array(turn.added[1:] if self.position == "token" else turn.added[:-1]))

    def at_tokens(self, turn: Turn) -> Sequence[float]:
        """The log-odds that judge the tokens of a turn [token]; the last may be missing, which has yet to be read."""
        return turn.log_odds[1:] if self.position == "token" else turn.log_odds[: len(turn.token_ids)]

    def _span_of(self, question: str, prompt: tuple[int, ...], ids: tuple[int, ...]) -> AnswerSpan:
        from hneuro.models.chat import answer_start, unfinished

        model = self.model.language_model
        start = answer_start(model.written, model.marks, prompt, ids)
        if start is None:
            return AnswerSpan(
                question_id="", sample=0, tokens=(), text="", method="", reason=unfinished(truncated=False)
            )
        candidates = self.calibration.candidates if self.calibration else ()
        asked = Question(id="", dataset="", text=question, answers=(), entity="", candidates=candidates)
        said = Response(
            question_id="",
            sample=0,
            prompt_ids=prompt,
            token_ids=ids,
            text=model.text_of(ids[start:]),
            logprobs=(),
            entropies=(),
            thought=start,
        )
        found: AnswerSpan = self._locator.locate([(asked, said)], model.text_of)[0]
        return found

    @cached_property
    def _locator(self) -> Any:
        from hneuro.config import build

        return build(_ours(self.span), "span")

    def _answer(
        self, question: str, ids: tuple[int, ...], span: AnswerSpan, log_odds: NDArray[np.float64], score: float
    ) -> Answer:
        from hneuro.spans.tokens import token_texts

        model, on = self.model.language_model, self.calibration
        # A run that located its answers by name read "Japan"; of a whole sentence its calibration says nothing.
        elsewhere = on is not None and on.method not in ("", span.method)
        unchecked = "read at other tokens than the detector was calibrated on" if elsewhere else ""
        if score != score:
            unchecked = span.reason or "no answer was found in the text"
        return Answer(
            question=question,
            text=model.text_of(ids),
            tokens=tuple(token_texts(ids, model.text_of)),
            risk=expit(log_odds),
            stated=span.tokens,
            score=float(expit(score)),
            threshold=float(expit(self.classifier.threshold)),
            unchecked=unchecked,
            probability=None if unchecked or on is None else float(expit(on.slope * score + on.offset)),
        )

    def stream(self, question: str, max_new_tokens: int = 48) -> Generator[Token, None, Answer | None]:
        """The greedy answer token by token, with the risk at each, at the price of a forward pass a token.

        The generator returns the answer as a whole; None where nothing was said.
        """
        from hneuro.detection.live import Live, Turn
        from hneuro.responses.decoding import Decoding
        from hneuro.spans.tokens import BROKEN

        model, shown, count = self.model.language_model, "", 0
        live = Live(model, self.classifier)
        decoding = Decoding(temperature=0.0, max_new_tokens=max_new_tokens)
        turn = Turn(prompt_ids=model.prompt_ids(question), decoding=decoding)
        live.add([turn])
        while True:
            judged = self.at_tokens(turn)
            text = model.text_of(turn.token_ids[: len(judged)])
            if len(judged) > count and not text.endswith(BROKEN):  # shown with what finishes the character
                yield Token(text=text[len(shown) :], risk=float(expit(judged[-1])))
                shown, count = text, len(judged)
            if turn.done:
                break
            live.step()
        return self.read(question, turn) if turn.token_ids else None


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
