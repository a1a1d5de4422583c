"""Counts and times for Prometheus: no text of anybody."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hneuro.detector import Answer
from hneuro.serve.engine import Engine
from hneuro.serve.policy import Decision

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Of one server."""

    def __init__(self, engine: Engine) -> None:
        own = self._registry = CollectorRegistry()
        self.requests = Counter("hneuro_requests", "Replies by route and status", ["route", "status"], registry=own)
        self._answers = Counter("hneuro_answers", "Answers by decision and state", ["decision", "state"], registry=own)
        self._tokens = Counter("hneuro_tokens", "Generated tokens", registry=own)
        self.first = Histogram("hneuro_first_text_seconds", "Until an answer begins", buckets=SECONDS, registry=own)
        self.between = Histogram(
            "hneuro_between_texts_seconds", "Between two pieces of an answer", buckets=SECONDS, registry=own
        )
        for n, name in enumerate(("running", "waiting")):
            gauge = Gauge(f"hneuro_answers_{name}", f"Answers that are {name} now", registry=own)
            gauge.set_function(lambda n=n: engine.load[n])  # type: ignore[misc]

    def answered(self, decision: Decision, answer: Answer, tokens: int) -> None:
        self._answers.labels(decision.action, "unchecked" if answer.unchecked else "checked").inc()
        self._tokens.inc(tokens)

    def text(self) -> bytes:
        return generate_latest(self._registry)
