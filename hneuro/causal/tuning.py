"""Gains that are learned: a factor of each neuron of a set, by gradient, that lowers the odds of wrong answers.

The gain of a neuron is 2 sigmoid(theta), so that it lies between 0 and 2 and is 1 at the start; its z becomes gain z at
every position, as in a sweep. Only theta is learned, and nothing below the first layer of the set is differentiated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from hneuro.causal.attribution import Asked, check_gradients
from hneuro.contributions.extract import padded, residual
from hneuro.models.edits import UNTOUCHED, Edits, LayerEdit
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError
from hneuro.responses.contest import Tokens, continuations, log_odds
from hneuro.responses.generate import batches
from hneuro.responses.rows import begin

T = TypeVar("T")
PRESSED, KEPT = 4, 2  # prompts of a step


@dataclass(frozen=True, kw_only=True)
class Setting:
    """`rate` of Adam, in theta; `penalty`: how much the loss on what should stay counts."""

    rate: float
    penalty: float


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What gains are learned from: contests whose first side is wrong, and continuations that should stay likely."""

    pressed: Sequence[Asked]
    kept: Sequence[tuple[Tokens, Tokens]]  # a prompt, and what follows it


def learn(
    loaded: Loaded,
    pad: int,
    neurons: Sequence[int],
    lessons: Lessons,
    setting: Setting,
    steps: Sequence[int],
    seed: int,
) -> NDArray[np.float32]:
    """[stop, neuron]: the gains after each number of `steps`, of flat neurons that ascend.

    The loss of a step is the mean softplus of the log-odds of some contests, plus `penalty` times the mean of -log P a
    token of some continuations. `UserError` for a model without gradients, or whose precision does not hold them.
    """
    check_gradients(loaded, "hneuro tune", "scale the neurons by one alpha (hneuro edit --alpha)")
    theta = torch.zeros(len(neurons), device=loaded.device, requires_grad=True)
    adam, draw, found = torch.optim.Adam([theta], lr=setting.rate), np.random.default_rng(seed), []
    for step in range(1, max(steps) + 1):
        adam.zero_grad()
        some = Lessons(pressed=_drawn(lessons.pressed, PRESSED, draw), kept=_drawn(lessons.kept, KEPT, draw))
        with torch.enable_grad():
            loss(loaded, pad, neurons, _gain(theta), some, setting.penalty).backward()
        if theta.grad is None or not theta.grad.isfinite().all():
            kind = str(loaded.dtype).removeprefix("torch.")
            raise UserError(
                f"the gradient of the gains is not finite in {kind}: choose model.dtype=float32 or bfloat16"
            )
        adam.step()
        if step in steps:
            found.append(_gain(theta).detach().cpu().numpy())
    return np.stack(found)


def _gain(theta: Tensor) -> Tensor:
    return 2 * torch.sigmoid(theta)


def _drawn(every: Sequence[T], count: int, draw: np.random.Generator) -> list[T]:
    return [every[n] for n in draw.choice(len(every), size=min(count, len(every)), replace=False)]


def loss(loaded: Loaded, pad: int, neurons: Sequence[int], gains: Tensor, lessons: Lessons, penalty: float) -> Tensor:
    """Of gains [neuron] that may have a gradient; every prompt is read once, whatever may follow it."""
    starts = [(prompt, UNTOUCHED) for prompt, _ in (*lessons.pressed, *lessons.kept)]
    asked = [(n, side) for n, (_, contest) in enumerate(lessons.pressed) for side in contest.sides]
    asked += [(n, said) for n, (_, said) in enumerate(lessons.kept, start=len(lessons.pressed))]
    rows = begin(loaded, pad, starts, learned=_edits(loaded.ffn.space, neurons, gains))
    read = iter(continuations(rows, pad, starts, asked))
    odds = [log_odds(c, [next(read)[c.shared :] for _ in c.sides]) for _, c in lessons.pressed]
    stays = [-next(read).mean() for _ in lessons.kept]
    return softplus(torch.stack(odds)).mean() + penalty * torch.stack(stays).mean()


def _edits(space: NeuronSpace, neurons: Sequence[int], gains: Tensor) -> Edits:
    """Of one row."""
    places = space.by_layer(neurons)
    parts = gains.split([len(indices) for indices in places.values()])
    return Edits(
        {
            layer: LayerEdit(torch.tensor(indices, device=gains.device), own[None])
            for (layer, indices), own in zip(places.items(), parts, strict=True)
        }
    )


@torch.inference_mode()
def written(
    loaded: Loaded, prompts: Sequence[Tokens], neurons: Sequence[int], gains: Sequence[float], token_budget: int
) -> float:
    """The norm of what gains add to the residual stream, to first order: the mean over the tokens of the prompts.

    All layers together: || sum_j (gain_j - 1) z_j W_j ||.
    """
    space, norms = loaded.ffn.space, list[Tensor]()
    places = space.by_layer(neurons)
    off = {place: gain - 1 for place, gain in zip(map(space.locate, neurons), gains, strict=True)}
    for batch in batches([len(prompt) for prompt in prompts], token_budget):
        total = list[Tensor]()

        def read(layer: int, z: Tensor, _: Tensor, total: list[Tensor] = total) -> None:
            by = torch.tensor([off[layer, index] for index in places[layer]], device=z.device)
            columns = loaded.ffn.layers[layer].down_rows()[places[layer]].float()
            total.append(((z[..., places[layer]].float() * by) @ columns).cpu())

        with observe(loaded.ffn, len(batch), read, layers=places):
            loaded.ffn.decoder(input_ids=padded([prompts[n] for n in batch], loaded.device), use_cache=False)
        norm = torch.stack(total).sum(0).norm(dim=-1)
        norms += [row[: len(prompts[n])] for row, n in zip(norm, batch, strict=True)]
    return float(torch.cat(norms).mean())


def directions(loaded: Loaded, asked: Sequence[Asked], token_budget: int) -> NDArray[np.float32]:
    """[layer, hidden]: from the wrong continuations to the right ones in the residual stream after each layer.

    Unit vectors along the difference of the means, over prompts, of the tokens after what both share.
    """
    sides = [[*contest.second[:1], *contest.first[:1]] for _, contest in asked]
    ids = [(*prompt, *side) for (prompt, _), both in zip(asked, sides, strict=True) for side in both]
    starts = [len(prompt) + contest.shared for prompt, contest in asked for _ in range(2)]
    weights = [
        np.array([n >= start for n in range(len(own))], dtype=np.float32) / np.float32(len(own) - start)
        for own, start in zip(ids, starts, strict=True)
    ]
    states = residual(loaded, ids, weights, token_budget)
    apart = states[0::2].mean(axis=0) - states[1::2].mean(axis=0)
    return np.asarray(apart / np.linalg.norm(apart, axis=-1, keepdims=True))
