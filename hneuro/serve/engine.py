"""One thread that computes for all requests: they share batches, join between two steps, and leave when they end."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from hneuro.detection.live import Live, Turn
from hneuro.detector import Detector
from hneuro.models.chat import answer_start
from hneuro.serve.growing import Growing, Judged, Piece
from hneuro.serve.vllm_live import VllmLive

log = logging.getLogger(__name__)
T = TypeVar("T")


class Full(Exception):  # noqa: N818
    """As many requests wait as may."""


@dataclass(frozen=True)
class End:
    """A choice is complete, and its turn changes no more."""

    choice: int


@dataclass(frozen=True)
class Failed:
    """What was being computed is lost."""


@dataclass(kw_only=True, eq=False)
class Ticket:
    """A request with its choices. `tell` gets what happens to it, in the thread of the engine."""

    turns: Sequence[Turn]
    stops: Sequence[str]
    tell: Callable[[Piece | End | Failed], None]
    growing: list[Growing] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)


class Engine:
    """`rows`: answers that are generated at a time; `waiting`: how many more may wait. `live` begins a batch."""

    def __init__(self, detector: Detector, rows: int, waiting: int, live: Callable[[], Live | VllmLive]) -> None:
        self.detector = detector
        self.rows = rows
        self._most_waiting = waiting
        self._model = detector.model.language_model
        self._begin = live
        self._live = live()
        self._waiting: deque[Ticket] = deque()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._running: list[Ticket] = []
        self._news = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="hneuro-engine", daemon=True)
        self._thread.start()

    @property
    def load(self) -> tuple[int, int]:
        """Answers that are generated, and those that wait."""
        with self._news:
            return len(self._live.turns), self._rows_waiting()

    def submit(self, ticket: Ticket) -> None:
        """Puts it in the queue; `Full` where that has no room. It has at most `rows` turns."""
        ticket.growing = [Growing(turn, self._model.text_of, ticket.stops) for turn in ticket.turns]
        with self._news:
            self._check_room(len(ticket.turns))
            self._waiting.append(ticket)
            self._news.notify()

    def call(self, work: Callable[[], T]) -> Future[T]:
        """Anything else that needs the model, between two steps: hooks in it would read each other's passes."""
        future: Future[T] = Future()
        with self._news:
            self._check_room(1)
            self._calls.append((work, future))
            self._news.notify()
        return future

    def cancel(self, ticket: Ticket) -> None:
        """Nobody listens any more."""
        with self._news:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            for turn in ticket.turns:
                turn.finish = turn.finish or "cancelled"

    def close(self) -> None:
        with self._news:
            self._closing = True
            self._news.notify()
        self._thread.join()
        self._live.close()

    def _check_room(self, rows: int) -> None:
        # A request that would start at once never waits, however large it is.
        if self._rows_waiting() and self._rows_waiting() + rows > self._most_waiting:
            raise Full

    def _rows_waiting(self) -> int:
        return sum(len(ticket.turns) for ticket in self._waiting) + len(self._calls)

    def _work(self) -> None:
        while True:
            with self._news:
                while not (self._closing or self._waiting or self._calls or self._running):
                    self._news.wait()
                if self._closing:
                    return
                calls, joining = list(self._calls), self._joining()
                self._calls.clear()
            for work, future in calls:
                _run(work, future)
            self._guarded(joining, partial(self._add, joining))
            self._guarded(self._running, self._step)

    def _joining(self) -> list[Ticket]:
        """Those that wait and fit in, first come first served."""
        free, found = self.rows - len(self._live.turns), list[Ticket]()
        while self._waiting and self._live.open and len(self._waiting[0].turns) <= free:
            found.append(self._waiting.popleft())
            free -= len(found[-1].turns)
        return found

    def _add(self, tickets: Sequence[Ticket]) -> None:
        if tickets:
            self._live.add([turn for ticket in tickets for turn in ticket.turns])
            self._running += tickets
            self._tell(tickets)

    def _step(self) -> None:
        if not self._running:
            return
        self._live.step()
        self._tell(self._running)
        self._live.leave()  # those that a stop sequence or their client has just ended: nothing may be left to step for
        self._running = [ticket for ticket in self._running if len(ticket.ended) < len(ticket.turns)]

    def _tell(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            for n, growing in enumerate(ticket.growing):
                if n not in ticket.ended:
                    self._report(ticket, n, growing)

    def _report(self, ticket: Ticket, choice: int, growing: Growing) -> None:
        turn = growing.turn
        if turn.finish != "cancelled":
            judged, said = self._judged(growing), growing.more()
            judged = judged or self._judged(growing)  # the new one itself, where risks are read before its tokens
            if said or judged:
                ticket.tell(Piece(choice=choice, said=said, judged=judged))
        if turn.done:
            ticket.ended.add(choice)
            ticket.tell(End(choice))

    def _judged(self, growing: Growing) -> Judged | None:
        turn, log_odds = growing.turn, self.detector.at_tokens(growing.turn)
        said = growing.read(len(log_odds))
        if said is None:
            return None
        return Judged(said=said, risks=log_odds[said.start : said.stop], thought=self._thinks(turn, said.stop))

    def _thinks(self, turn: Turn, stop: int) -> bool:
        """Whether it did at its token `stop`."""
        model = self._model
        if not model.marks:
            return False
        return answer_start(model.written, model.marks, turn.prompt_ids, turn.token_ids[:stop]) is None

    def _guarded(self, tickets: Sequence[Ticket], work: Callable[[], None]) -> None:
        """A fault of the model (memory above all) loses the requests at hand, and no later one."""
        try:
            work()
        except Exception:
            log.exception("a batch of %d requests failed", len(tickets))
            for ticket in list(tickets):
                ticket.tell(Failed())
            if tickets is self._running:
                self._live, self._running = self._begin(), []


def _run(work: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as fault:  # noqa: BLE001 - raised again where the result is awaited
        future.set_exception(fault)
