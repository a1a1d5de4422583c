"""What the server does with a request, whatever brings it: asks the engine, reads the answer, decides."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hneuro.detection.live import Turn
from hneuro.detector import Answer, Detector
from hneuro.models.edits import Treatment, scaled
from hneuro.records import UserError
from hneuro.responses.decoding import Decoding
from hneuro.serve.asked import Chat, Completion, Refused, ToScore
from hneuro.serve.engine import End, Engine, Failed, Full, Ticket
from hneuro.serve.growing import Piece
from hneuro.serve.metrics import Metrics
from hneuro.serve.policy import WITHHELD, Decision, Limit, Policy
from hneuro.serve.queue import Queue
from hneuro.serve.replies import Json, of_answer

CONVERSATION = "a conversation: the detector was calibrated on single questions"
SCALED = "its H-Neurons were scaled: the detector was calibrated on untouched answers"
RAW = "a raw prompt: the detector was calibrated on questions in a chat"


@dataclass(frozen=True, kw_only=True)
class Limits:
    body: int = 1 << 20  # bytes
    choices: int = 8  # n
    tokens: int = 1024  # of an answer
    rows: int = 16  # answers at a time
    waiting: int = 64  # more answers
    patience: float = 10.0  # seconds that a body may take to arrive
    alpha: float = 1.0  # the factor of the H-Neurons in every answer
    steering: bool = False  # whether a request may name another
    given_text: bool = (
        True  # whether text can be read that the engine has not drawn: an answer, or what one begins with
    )


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A choice with all that is known about it."""

    answer: Answer
    content: str  # that may be shown, or is withheld
    decision: Decision
    hneuro: Json
    finish: str


@dataclass(kw_only=True)
class Exchange:
    """A request under way."""

    question: str
    unchecked: str  # why its tokens cannot be judged, if they cannot
    ticket: Ticket
    events: asyncio.Queue[Piece | End | Failed]
    texts: dict[int, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Service:
    detector: Detector
    engine: Engine
    policy: Policy
    limit: Limit
    limits: Limits
    queue: Queue
    metrics: Metrics
    _encoding: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        return str(self.detector.model_config["name"])

    async def ask(self, asked: Chat | Completion) -> Exchange:
        """Puts the request in the queue of the engine; `Refused` where it cannot be."""
        self._check_model(asked.model)
        most = self.limits
        count = asked.n or 1
        if count > min(most.choices, most.rows):
            raise Refused(400, f"'n' is at most {min(most.choices, most.rows)} here", param="n")
        if asked.longest and asked.longest > most.tokens:
            raise Refused(400, f"'max_tokens' is at most {most.tokens} here", param="max_tokens")
        stops, treatment = asked.stops, self._treatment(asked.alpha)
        question, unchecked, prompt = await asyncio.to_thread(self._prompt, asked)
        room = (self.detector.model.language_model.context or 1 << 60) - len(prompt)
        if not prompt or room < 1:
            raise Refused(400, f"the prompt has {len(prompt)} tokens: it needs at least one, and room for an answer")
        decoding = Decoding(
            temperature=1.0 if asked.temperature is None else asked.temperature,
            top_k=0,
            top_p=1.0 if asked.top_p is None else asked.top_p,
            max_new_tokens=min(room, asked.longest or most.tokens),
        )
        begins = await asyncio.to_thread(self._begins, asked)
        if len(begins) >= decoding.max_new_tokens:
            raise Refused(400, "'prefix' leaves no room for more: it counts as part of 'max_tokens'", param="prefix")
        seed = secrets.token_hex(8) if asked.seed is None else asked.seed
        turns = [
            Turn(
                prompt_ids=prompt,
                decoding=decoding,
                treatment=treatment,
                seed=f"{seed}/{n}",
                begins=begins,
                likeliest=asked.likeliest,
            )
            for n in range(count)
        ]
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Piece | End | Failed]()

        def tell(event: Piece | End | Failed) -> None:
            with suppress(RuntimeError):  # the server has stopped
                loop.call_soon_threadsafe(events.put_nowait, event)

        ticket = Ticket(turns=turns, stops=stops, tell=tell)
        self._when_there_is_room(lambda: self.engine.submit(ticket))
        unchecked = unchecked if treatment.untouched else SCALED
        return Exchange(question=question, unchecked=unchecked, ticket=ticket, events=events)

    async def pieces(self, exchange: Exchange) -> AsyncIterator[Piece | int]:
        """The pieces as they come, and the number of each choice that is complete."""
        left = len(exchange.ticket.turns)
        while left:
            event = await exchange.events.get()
            if isinstance(event, Failed):
                raise Refused(500, "the answer could not be computed")
            if isinstance(event, End):
                left -= 1
                yield event.choice
            else:
                if event.said:
                    exchange.texts[event.choice] = exchange.texts.get(event.choice, "") + event.said.text
                yield event

    async def answered(self, exchange: Exchange, choice: int) -> Answered:
        """Of a complete choice: read, decided, and put by if it is held."""
        turn, content = exchange.ticket.turns[choice], exchange.texts.get(choice, "")
        answer = await asyncio.to_thread(self._read, exchange, turn)
        decision = self.policy.decide(answer, self.limit)
        hneuro = of_answer(answer, content, decision, self.limit, self.detector.neurons)
        if decision.action == "hold":
            hneuro["review"] = await asyncio.to_thread(self.queue.put, answer, content, decision)
        self.metrics.answered(decision, answer, len(turn.token_ids))
        finish = "content_filter" if decision.action in WITHHELD else turn.finish
        return Answered(answer=answer, content=content, decision=decision, hneuro=hneuro, finish=finish)

    async def score(self, asked: ToScore) -> Json:
        """An answer that was given elsewhere."""
        self._check_model(asked.model)
        if not self.limits.given_text:
            raise Refused(501, "this engine reads only what it says itself: hneuro score reads answers from elsewhere")

        def work() -> Answer:
            return self.detector.score(asked.question, asked.answer)

        future = self._when_there_is_room(lambda: self.engine.call(work))
        try:
            answer = await asyncio.wrap_future(future)
        except UserError as fault:
            raise Refused(400, str(fault)) from fault
        decision = self.policy.decide(answer, self.limit)
        # Who asks has the answer already: nothing is withheld.
        shown = replace(decision, action="flag" if decision.action != "pass" else "pass")
        found = of_answer(answer, answer.text, shown, self.limit, self.detector.neurons)
        return found | {"decision": decision.action}

    def _read(self, exchange: Exchange, turn: Turn) -> Answer:
        if not turn.token_ids:
            return _silent(exchange.question, self.limit)
        found = self.detector.read(exchange.question, turn)
        return replace(found, unchecked=exchange.unchecked or found.unchecked)

    def _prompt(self, asked: Chat | Completion) -> tuple[str, str, tuple[int, ...]]:
        """The question, why no answer to it is checked, and its tokens."""
        model = self.detector.model.language_model
        try:
            with self._encoding:
                if isinstance(asked, Completion):
                    ids = tuple(map(int, model.tokenizer(asked.prompt)["input_ids"]))
                    return asked.prompt, RAW, ids
                said = [{"role": message.role, "content": message.text} for message in asked.messages]
                question = next((message["content"] for message in reversed(said) if message["role"] == "user"), "")
                if not question or said[-1]["role"] == "assistant":
                    raise Refused(400, "'messages' must end with a message of the user", param="messages")
                if len(said) == 1:  # asked as the run asks, so that it is scored as there
                    return question, "", model.prompt_ids(question)
                return question, CONVERSATION, model.chat_ids(said)
        except UserError as fault:
            raise Refused(400, str(fault), param="messages") from fault

    def _begins(self, asked: Chat | Completion) -> tuple[int, ...]:
        """The tokens of a prefix, each of which is a step, so that it is read as if it had been drawn."""
        if isinstance(asked, Chat) and asked.prefix is not None and not self.limits.given_text:
            raise Refused(501, "this engine cannot go on from a 'prefix'", param="prefix")
        if not isinstance(asked, Chat) or asked.prefix is None:
            return ()
        with self._encoding:
            return self.detector.model.token_ids(asked.prefix)

    def _treatment(self, alpha: float | None) -> Treatment:
        if alpha is not None and not self.limits.steering:
            raise Refused(
                400, "'alpha' is not allowed here: hneuro serve --steering lets clients choose it", param="alpha"
            )
        return scaled(self.detector.classifier.columns, self.limits.alpha if alpha is None else alpha)

    def _check_model(self, named: str | None) -> None:
        if named is not None and named != self.name:
            raise Refused(
                404, f"there is no such model here, only {self.name!r}", param="model", code="model_not_found"
            )

    def _when_there_is_room(self, enter: Callable[[], Any]) -> Any:
        try:
            return enter()
        except Full as fault:
            running, waiting = self.engine.load
            retry = 1 + (running + waiting) // self.limits.rows
            raise Refused(429, "too many requests are waiting: try again later", retry=retry) from fault


def _silent(question: str, limit: Limit) -> Answer:
    return Answer(
        question=question,
        text="",
        tokens=(),
        risk=np.zeros(0),
        stated=(),
        score=float("nan"),
        threshold=limit.risk,
        unchecked="nothing was said",
    )
