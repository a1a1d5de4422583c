"""A server on 127.0.0.1 in a thread of this process, with a detector on a tiny model."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from hneuro.detection.detector import Classifier
from hneuro.detection.live import Live
from hneuro.detector import Detector
from hneuro.models.language_model import LanguageModel
from hneuro.result_records import Calibration
from hneuro.serve.app import application
from hneuro.serve.engine import Engine
from hneuro.serve.metrics import Metrics
from hneuro.serve.policy import Policy
from hneuro.serve.queue import Queue
from hneuro.serve.service import Limits, Service

COLUMNS = (3, 70, 71, 150)
SPAN = {"_target_": "hneuro.spans.short_answer.ShortAnswer"}


def tiny_detector(checkpoint: Path, position: str = "token") -> Detector:
    """Of a random Llama; what it says has no meaning, and its threshold lies in the middle of its scores."""
    draw = np.random.default_rng(0)
    wrong = draw.random(200) < 0.5
    scores = draw.normal(-1 + 2.0 * wrong, 1.0)
    source = {"_target_": "hneuro.models.sources.HubCheckpoint", "path": str(checkpoint)}
    model = {"_target_": "hneuro.models.spec.ModelSpec", "name": "tiny", "chat": source}
    kept = Calibration(slope=0.8, offset=-0.2, log_odds=tuple(scores), hallucinated=tuple(wrong), dataset="made")
    made = Detector(
        classifier=Classifier(columns=COLUMNS, weight=np.array([9.0, -20.0, 5.0, 30.0]), bias=-0.5, threshold=0.1),
        space=None,  # type: ignore[arg-type]
        position=position,
        span=SPAN,
        model_config=model | {"dtype": "float32", "device": "cpu"},
        weights="",
        trained="made",
        calibration=kept,
    )
    from hneuro.config import build

    spec: Any = build(made.model_config, "model")
    found = LanguageModel(spec.chat, spec, completion=False)
    fields = {name: getattr(made, name) for name in made.__dataclass_fields__}
    return Detector(**fields | {"space": found.loaded.ffn.space, "weights": str(spec.chat.identity())})


def made_service(detector: Detector, folder: Path, policy: Policy | None = None, **limits: Any) -> Service:
    policy, most = policy or Policy(), Limits(**{"tokens": 200, "rows": 16, "waiting": 64} | limits)
    engine = Engine(detector, most.rows, most.waiting, lambda: Live(detector.model.language_model, detector.classifier))
    return Service(
        detector=detector,
        engine=engine,
        policy=policy,
        limit=policy.limit(detector),
        limits=most,
        queue=Queue(file=folder / "review.sqlite"),
        metrics=Metrics(engine),
    )


@contextmanager
def serving(service: Service, token: str | None = None) -> Iterator[str]:
    """Its address, without /v1."""
    port = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(service, token), log_level="warning", access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [port]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        service.engine.close()
        port.close()
