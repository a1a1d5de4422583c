"""OpenAI's objects as they are, with one more field a choice, `hneuro`: the risk of a token, or of the answer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hneuro.api import Neuron
from hneuro.detection.live import Turn
from hneuro.detector import Answer
from hneuro.serve.growing import Judged
from hneuro.serve.policy import Decision, Limit
from hneuro.spans.tokens import token_texts

Json = dict[str, Any]
DRIVERS = 4  # neurons that are named at a token
NOTICES = {
    "hold": "This answer waits for a person to review it.",
    "abstain": "No answer is given, as this one is likely to be wrong.",
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The head of every object of one reply."""

    chat: bool
    model: str
    text_of: Any
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, choices: Sequence[Json], usage: Json) -> Json:
        return self._head("chat.completion" if self.chat else "text_completion", choices) | {"usage": usage}

    def chunk(self, choices: Sequence[Json], **more: Json) -> Json:
        return self._head("chat.completion.chunk" if self.chat else "text_completion", choices) | more

    def _head(self, kind: str, choices: Sequence[Json]) -> Json:
        key = f"{'chatcmpl' if self.chat else 'cmpl'}-{self.key}"
        return {"id": key, "object": kind, "created": self.created, "model": self.model, "choices": list(choices)}

    def choice(self, n: int, text: str, finish: str | None, logprobs: Json | None, hneuro: Json | None) -> Json:
        said = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        return self._choice(n, said, finish, logprobs, hneuro)

    def delta(
        self, n: int, text: str | None, finish: str | None = None, logprobs: Json | None = None, hneuro: Any = None
    ) -> Json:
        """`text` None: nothing is said."""
        said: Json = {"delta": {} if text is None else {"content": text}} if self.chat else {"text": text or ""}
        return self._choice(n, said, finish, logprobs, hneuro)

    def opening(self, n: int) -> Json:
        return self._choice(n, {"delta": {"role": "assistant", "content": ""}}, None, None, None)

    def _choice(self, n: int, said: Json, finish: str | None, logprobs: Json | None, hneuro: Json | None) -> Json:
        head = {"index": n, **said, "logprobs": logprobs, "finish_reason": finish}
        return head if hneuro is None else head | {"hneuro": hneuro}

    def logprobs(self, turn: Turn, start: int, stop: int) -> Json:
        """Of the tokens start..stop of a turn."""
        texts = token_texts(turn.token_ids, self.text_of)[start:stop]
        given, likely = turn.logprobs[start:stop], turn.likely[start:stop] or [[]] * (stop - start)

        def named(pairs: Sequence[tuple[int, float]]) -> list[tuple[str, float]]:
            return [(self.text_of([token]), logprob) for token, logprob in pairs]

        if self.chat:
            of = [
                self._token(text, logprob) | {"top_logprobs": [self._token(*pair) for pair in named(others)]}
                for text, logprob, others in zip(texts, given, likely, strict=True)
            ]
            return {"content": of, "refusal": None}
        offsets = [len(self.text_of(turn.token_ids[:n])) for n in range(start, stop)]
        return {
            "tokens": texts,
            "token_logprobs": given,
            "top_logprobs": [dict(named(others)) for others in likely],
            "text_offset": offsets,
        }

    def _token(self, text: str, logprob: float) -> Json:
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}


def usage(turns: Sequence[Turn]) -> Json:
    asked, said = len(turns[0].prompt_ids), sum(len(turn.token_ids) for turn in turns)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def of_judged(judged: Judged, limit: Limit, unchecked: str) -> Json:
    """The riskiest token of a text. A risk is shown whatever the state, and flagged only where it is checked."""
    risk = float(expit(max(judged.risks))) if judged.risks else None
    found: Json = {"start": judged.said.begin, "end": judged.said.end, "risk": risk}
    reason = unchecked or ("thought" if judged.thought else "no token" if risk is None else "")
    if reason:
        return found | {"flagged": None, "state": "unchecked", "reason": reason}
    assert risk is not None
    return found | {"flagged": risk > limit.risk, "state": "checked"}


def of_answer(answer: Answer, content: str, decision: Decision, limit: Limit, neurons: Sequence[Neuron] = ()) -> Json:
    """All about an answer, whose `content` may end within the last token; what is withheld has no tokens.

    `neurons`: of the detector, whose weightiest are named at every token.
    """
    checked = not answer.unchecked
    found: Json = {
        "state": "checked" if checked else "unchecked",
        "score": None if answer.score != answer.score else answer.score,
        "probability": answer.probability if checked else None,
        "threshold": limit.risk,
        "flagged": decision.flagged,
        "decision": decision.action,
        "promise": limit.promise,
    }
    if not checked:
        found["reason"] = answer.unchecked
    if decision.action in NOTICES:
        return found
    spans, texts, place = list[Json](), list[str](), 0
    for n, whole in enumerate(answer.tokens):
        text = whole[: max(0, len(content) - place)]
        texts.append(text)
        if n in answer.stated and text:
            if spans and spans[-1]["end"] == place:
                spans[-1]["end"] += len(text)
            else:
                spans.append({"start": place, "end": place + len(text)})
        place += len(whole)
    spans = [span | {"text": content[span["start"] : span["end"]]} for span in spans]
    found |= {"spans": spans, "tokens": texts, "risks": answer.risk.tolist()}
    return found if answer.added is None else found | {"drivers": _drivers(answer.added, neurons)}


def _drivers(added: NDArray[np.floating], neurons: Sequence[Neuron]) -> list[list[Json]]:
    """The neurons that move the log-odds of each token most, in either direction."""
    order = np.argsort(-np.abs(added), axis=1, kind="stable")[:, :DRIVERS]
    return [
        [{"layer": neurons[n][0], "index": neurons[n][1], "adds": round(float(own[n]), 4)} for n in places]
        for own, places in zip(added, order, strict=True)
    ]
