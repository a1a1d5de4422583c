"""An edit of a model as a small file: which neurons are scaled by how much, and of which checkpoint.

Scaling a neuron's column of W_down is scaling the neuron (paper, section 4), made permanent.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hneuro.codec import from_plain, to_plain
from hneuro.disk import read_text, write_text
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError
from hneuro.store import fingerprint

if TYPE_CHECKING:
    from hneuro.models.load import Loaded

TRACES = "hneuro_edit"  # folder of an edited checkpoint that keeps what was done to it
PATCH = f"{TRACES}/patch.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Flat `neurons` scaled by `alpha`; or, with alpha = 1, each by its own of the `gains`, in the same order.

    `weights` identifies the checkpoint that it was made for.
    """

    neurons: tuple[int, ...]
    alpha: float
    space: NeuronSpace
    weights: str
    note: str = ""
    gains: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.gains:
            self._check_gains()
        if not 0 <= self.alpha < math.inf:
            raise UserError(f"alpha must be finite and not negative, not {self.alpha:g}")
        if self.alpha == 1 and not self.gains:
            raise UserError("alpha = 1 is the untouched model: there is nothing to edit")
        if not self.neurons:
            raise UserError("there are no neurons to scale: the list is empty")
        for neuron in self.neurons:
            if not 0 <= neuron < self.space.size:
                raise UserError(f"neuron {neuron} is outside the {self.space.size} neurons of the model")

    def _check_gains(self) -> None:
        if len(self.gains) != len(self.neurons) or len(set(self.neurons)) < len(self.neurons) or self.alpha != 1:
            raise UserError(f"{len(self.gains)} gains for {len(self.neurons)} neurons: each needs one, with alpha = 1")
        if not all(0 <= gain < math.inf for gain in self.gains):
            raise UserError("gains must be finite and not negative")

    @property
    def factors(self) -> dict[int, float]:
        """What each neuron is multiplied by."""
        return dict(zip(self.neurons, self.gains or [self.alpha] * len(self.neurons), strict=True))

    def of_layers(self) -> dict[int, tuple[list[int], list[float]]]:
        """Layer -> the neurons there, ascending, and their factors."""
        by = self.factors
        return {
            layer: (indices, [by[self.space.flat(layer, index)] for index in indices])
            for layer, indices in self.space.by_layer(by).items()
        }

    @property
    def identity(self) -> str:
        """Equal for patches that do the same."""
        done = [sorted(self.factors.items())] if self.gains else [sorted(set(self.neurons)), self.alpha]
        return fingerprint([*done, self.space])

    def same_as(self, other: Patch) -> bool:
        """Whether it does the same, to the same weights."""
        return (self.identity, self.weights) == (other.identity, other.weights)

    @property
    def times(self) -> str:
        """By how much, in words."""
        return f"{min(self.gains):.3g} to {max(self.gains):.3g}" if self.gains else f"{self.alpha:g}"

    @property
    def brief(self) -> str:
        """The edit in a few words."""
        return f"{len(set(self.neurons)):,} neurons times {self.times}"


def write_patch(patch: Patch, file: Path) -> None:
    write_text(file, json.dumps(to_plain(patch), indent=1, ensure_ascii=False))


def read_patch(path: Path) -> Patch:
    """A patch from its file, or from the folder of an edited checkpoint; `UserError` where there is none."""
    file = path / PATCH if path.is_dir() else path
    try:
        patch: Patch = from_plain(Patch, json.loads(read_text(file)))
    except OSError as fault:
        raise UserError(f"there is no patch at {path} ({fault.strerror})") from fault
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
        raise UserError(f"{file} is not a patch of hneuro: {fault}") from fault
    return patch


def found_elsewhere(found_on: str, origin: str, weights: str, model: str) -> str:
    """What to tell of neurons that were found on other weights; "" where they are those of the model at hand."""
    if found_on == weights:
        return ""
    return (
        f"the neurons ({origin or 'of unknown origin'}) were found on other weights ({found_on}) than those of {model} "
        f"({weights}): nothing says that they do the same there"
    )


def check_fits(patch: Patch, space: NeuronSpace, weights: str | None, model: str) -> None:
    """`UserError` unless the patch was made for this model; without `weights` for one of its shape."""
    if patch.space != space:
        raise UserError(f"the patch is for a model with {patch.space}, but {model} has {space}")
    if weights is not None and patch.weights != weights:
        raise UserError(
            f"the patch was made for other weights ({patch.weights}) than those of {model} ({weights}): find its "
            "neurons on this model, or name it as --model to edit it all the same"
        )


def apply_patch(loaded: Loaded, patch: Patch) -> None:
    """Scales the columns of the loaded weights, in place. `UserError` where they are not plain whole tensors.

    The same bits as in an edited checkpoint that is loaded in the precision of its files.
    """
    import torch

    from hneuro.models.ffn import DownProjection
    from hneuro.models.weights import inputs_first

    for layer, (indices, factors) in patch.of_layers().items():
        projection = loaded.ffn.layers[layer]
        weight = projection.weight if isinstance(projection, DownProjection) and projection.is_plain else None
        if weight is None or weight.device.type == "meta" or type(weight) not in (torch.Tensor, torch.nn.Parameter):
            raise UserError(
                f"layer {layer} has no plain weights in memory to scale: load the model whole and not quantised, "
                "or write an edited checkpoint and load that"
            )
        with torch.no_grad():
            axis = 0 if inputs_first(projection.module) else 1
            places = torch.tensor(indices, device=weight.device)
            by = torch.tensor(factors, device=weight.device, dtype=torch.promote_types(weight.dtype, torch.float32))
            scaled = weight.index_select(axis, places) * (by[:, None] if axis == 0 else by)
            weight.index_copy_(axis, places, scaled.to(weight.dtype))
