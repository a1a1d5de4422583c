"""What each neuron does, to first order: the derivative of a stated difference by its gain, for all neurons at once.

The difference is the log-odds of a contest, a token: of the continuation that complies against the one that resists.
With the gain alpha a neuron's z becomes alpha z at every position, as in a sweep. A positive effect is one of
complying: more of the neuron, more of the wrong answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hneuro.contributions.extract import padded
from hneuro.models.hooks import attribute
from hneuro.models.load import Loaded
from hneuro.records import UserError
from hneuro.responses.contest import Contest, Tokens, log_odds
from hneuro.responses.generate import batches

Asked = tuple[Tokens, Contest]  # a prompt, and what may follow it


def effects(loaded: Loaded, asked: Sequence[Asked], token_budget: int) -> NDArray[np.float32]:
    """[prompt, neuron]: d log-odds / d alpha at alpha = 1, in nats a token for each unit of alpha.

    Forward, forward again layer by layer, and backward: batches of at most `token_budget` padded tokens, every
    continuation a row. `UserError` for a model that no gradient goes through, or whose precision does not hold it.
    """
    check_gradients(loaded, "probe=attribution", "choose another probe")
    found = np.zeros((len(asked), loaded.ffn.space.size), dtype=np.float32)
    # All continuations of a prompt are in one batch.
    lengths = [(len(prompt) + max(map(len, contest.sides))) * len(contest.sides) for prompt, contest in asked]
    for batch in batches(lengths, token_budget):
        found[batch] = _effects(loaded, [asked[n] for n in batch])
    if not np.isfinite(found).all():
        raise UserError(
            f"the effects of {int((~np.isfinite(found)).any(axis=0).sum())} neurons are not finite in "
            f"{str(loaded.dtype).removeprefix('torch.')}: choose model.dtype=float32 or bfloat16"
        )
    return found


def check_gradients(loaded: Loaded, who: str, way: str) -> None:
    """`UserError` for a model that no gradient goes through; `who` wants one, and `way` is the way out."""
    kind = type(loaded.model).__name__
    for layer, projection in enumerate(loaded.ffn.layers):
        if not projection.is_plain:
            raise UserError(
                f"{who} takes a gradient, and layer {layer} of {kind} is quantised: load plain weights, or {way}"
            )
    if any(weight.device.type == "meta" for weight in loaded.model.parameters()):
        raise UserError(
            f"{who} takes a gradient, and weights of {kind} are not in memory or lie on the disk: leave "
            f"model.device_map out, or {way}"
        )


def _effects(loaded: Loaded, asked: Sequence[Asked]) -> NDArray[np.float32]:
    rows = [(n, prompt, side) for n, (prompt, contest) in enumerate(asked) for side in contest.sides]
    ids = padded([(*prompt, *side[:-1]) for _, prompt, side in rows], loaded.device)
    parts: list[Tensor | float] = [0.0] * len(loaded.ffn.layers)

    def read(layer: int, derivative: Tensor) -> None:
        parts[layer] = parts[layer] + derivative.cpu()

    with torch.enable_grad(), attribute(loaded.ffn, len(rows), read):
        logprobs = iter(_parting(loaded, ids, rows, [contest.shared for _, contest in asked]))
        odds = [log_odds(contest, [next(logprobs) for _ in contest.sides]) for _, contest in asked]
        torch.stack(odds).sum().backward()
    of_row = torch.cat([part for part in parts if isinstance(part, Tensor)], dim=-1).numpy()
    found = np.zeros((len(asked), of_row.shape[-1]), dtype=np.float32)
    np.add.at(found, [n for n, _, _ in rows], of_row)
    return found


def _parting(
    loaded: Loaded, ids: Tensor, rows: Sequence[tuple[int, Tokens, Tokens]], shared: Sequence[int]
) -> list[Tensor]:
    """Log-probabilities [token] of each row's continuation after what the continuations of its prompt share."""
    starts = [len(prompt) + shared[n] - 1 for n, prompt, _ in rows]  # where its first token is predicted
    first = min(starts)
    known = "logits_to_keep" in inspect.signature(loaded.model.forward).parameters
    options = {"logits_to_keep": ids.shape[1] - first} if known else {}
    logits = loaded.model(input_ids=ids, use_cache=False, **options).logits[:, first - ids.shape[1] :]
    found = []
    for row, start, (n, _, side) in zip(logits, starts, rows, strict=True):
        targets = torch.tensor(side[shared[n] :], device=row.device)
        own = row[start - first :][: len(targets)].to(torch.promote_types(row.dtype, torch.float32))
        found.append(own.gather(1, targets[:, None])[:, 0] - own.logsumexp(1))
    return found
