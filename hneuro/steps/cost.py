"""What a run is about to cost, said once, before the first response is sampled."""

from __future__ import annotations

import logging
import time

from hneuro.causal.grid import answers_to_a_prompt
from hneuro.models.spec import pick_device
from hneuro.progress import is_quiet
from hneuro.steps import stored
from hneuro.steps.context import Context

log = logging.getLogger(__name__)
ROWS = 256  # of the matrix product that is timed
WORTH_SAYING = 1.5  # times faster


def announce(run: Context) -> None:
    """How much will be sampled and swept, and whether another precision would be much faster."""
    if run.announced or is_quiet():
        return
    run.announced = True
    setup = run.experiment
    several = run.sizes.get("fit", 0) + run.sizes.get("select", 0)
    log.info(
        "to sample: %s questions %s%d times, %s held-out questions at least once, up to %d tokens an answer",
        f"{several:,}",
        "at most " if setup.stop_early else "",
        setup.sampling.samples,
        f"{sum(run.sizes.values()) - several:,}",
        setup.answer_tokens,
    )
    grid = setup.intervention
    if grid.swept:
        log.info(
            "to sweep: %d answers to each of %s prompts of %d benchmarks and of up to %d known facts",
            answers_to_a_prompt(grid),
            "all" if grid.items is None else f"up to {grid.items}",
            len(setup.benchmarks),
            grid.known_questions,
        )
    if faster := faster_precision(run):
        log.info(
            "model.dtype=%s multiplies matrices %.1f times faster on this machine: extraction gains as much, sampling "
            "from a small model may lose; it changes results slightly, so it is yours to choose",
            *faster,
        )


def faster_precision(run: Context) -> tuple[str, float] | None:
    """The other precision and how many times faster it multiplies here, where that is much."""
    own = run.experiment.model.dtype
    if own not in ("float32", "bfloat16"):
        return None
    other = "bfloat16" if own == "float32" else "float32"
    space = stored.shape_of(run.store, run.chat)
    device = pick_device(run.experiment.model.device)
    seconds = {dtype: _product_seconds(space.width // space.experts, dtype, device) for dtype in (own, other)}
    ratio = seconds[own] / seconds[other]
    return (other, ratio) if ratio >= WORTH_SAYING else None


def _product_seconds(width: int, dtype: str, device: str) -> float:
    """Of [ROWS, width] x [width, width / 2], about the size of an FFN's; the best of several."""
    import torch

    x = torch.ones(ROWS, width, dtype=getattr(torch, dtype), device=device)
    w = torch.ones(width, max(1, width // 2), dtype=x.dtype, device=device)
    best = float("inf")
    for _ in range(8):
        started = time.perf_counter()
        (x @ w)[0, 0].item()  # waits for a GPU
        best = min(best, time.perf_counter() - started)
    return best
