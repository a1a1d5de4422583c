"""`hneuro serve`: the model of a run behind an OpenAI-compatible server, with the risk of every token."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hneuro.models.edits import LARGEST
from hneuro.records import UserError

if TYPE_CHECKING:
    from hneuro.detection.live import Live
    from hneuro.detector import Detector
    from hneuro.serve.service import Service
    from hneuro.serve.vllm_live import VllmLive

SHORTEST = 16  # characters of a token


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line says."""

    run_dir: Path
    host: str
    port: int
    token_env: str | None  # the NAME of an environment variable
    policy: str
    queue: Path | None
    no_texts: bool
    days: float
    rows: int
    alpha: float
    steering: bool
    engine: str
    tensor_parallel: int


def serve(wanted: Wanted) -> int:
    """Serves until it is interrupted."""
    if wanted.rows < 1 or not wanted.days > 0 or not 0 < wanted.port < 1 << 16:
        raise UserError("--rows must be at least 1, --days above 0, and --port between 1 and 65535")
    if not 0 <= wanted.alpha <= LARGEST:
        raise UserError(f"--alpha must be between 0 and {LARGEST:g}")
    if wanted.engine == "vllm" and (wanted.alpha != 1 or wanted.steering):
        raise UserError("--engine vllm scales no neurons: leave --alpha and --steering out")
    if wanted.engine != "vllm" and wanted.tensor_parallel != 1:
        raise UserError("--tensor-parallel is for --engine vllm")
    token = _token(wanted)
    try:
        import uvicorn

        from hneuro.serve.app import application
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] not in ("fastapi", "uvicorn", "starlette", "prometheus_client"):
            raise
        raise UserError("hneuro serve needs more packages: pip install 'hneuro[serve]'") from fault
    _check_address(wanted.host, wanted.port)
    service = build_service(wanted)
    print(f"{service.name} at http://{wanted.host}:{wanted.port}; {service.limit.promise}", flush=True)
    options: dict[str, Any] = {"log_level": "warning", "access_log": False, "server_header": False, "ws": "none"}
    try:
        uvicorn.run(application(service, token), host=wanted.host, port=wanted.port, lifespan="off", **options)
    finally:
        service.engine.close()
    return 0


def build_service(wanted: Wanted) -> Service:
    """All that answers, without the HTTP side."""
    from hneuro.detector import Detector
    from hneuro.serve.engine import Engine
    from hneuro.serve.metrics import Metrics
    from hneuro.serve.policy import load_policy
    from hneuro.serve.queue import Queue
    from hneuro.serve.service import Limits, Service

    detector, policy = Detector.load(wanted.run_dir), load_policy(wanted.policy)
    limits = Limits(
        rows=wanted.rows,
        waiting=4 * wanted.rows,
        alpha=wanted.alpha,
        steering=wanted.steering,
        given_text=wanted.engine != "vllm",
    )
    queue = Queue(file=wanted.queue or wanted.run_dir / "review.sqlite", texts=not wanted.no_texts, days=wanted.days)
    if "hold" in (policy.above, policy.unchecked):
        queue.rows(labelled=False)  # one that cannot be used is said now, and not at the first answer that waits
    limit = policy.limit(detector)
    engine = Engine(detector, limits.rows, limits.waiting, _live(detector, wanted))
    metrics = Metrics(engine)
    return Service(
        detector=detector, engine=engine, policy=policy, limit=limit, limits=limits, queue=queue, metrics=metrics
    )


def _live(detector: Detector, wanted: Wanted) -> Callable[[], Live | VllmLive]:
    if wanted.engine == "vllm":
        from hneuro.serve.vllm_live import VllmLive

        return lambda: VllmLive(detector, wanted.tensor_parallel)
    from hneuro.detection.live import Live

    return lambda: Live(detector.model.language_model, detector.classifier)


def _token(wanted: Wanted) -> str | None:
    token = os.environ.get(wanted.token_env or "")
    if wanted.token_env and len(token or "") < SHORTEST:
        raise UserError(f"${wanted.token_env} must hold a token of at least {SHORTEST} characters")
    if token is None and not _is_local(wanted.host):
        raise UserError(f"--host {wanted.host} lets others in: name a token by --token-env NAME, or stay on 127.0.0.1")
    return token


def _check_address(host: str, port: int) -> None:
    """`UserError` where it cannot be listened on, before a model is loaded."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as fault:
        raise UserError(f"cannot listen at {host}:{port} ({fault.strerror}): choose another --port") from fault


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
