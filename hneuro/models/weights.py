"""The matrix of a linear module, however it lies in memory: plain, offloaded or quantised."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from accelerate.utils import align_module_device
from torch import Tensor, nn

BLOCK = 1024  # inputs of a quantised module that are read at a time


def shape_of(module: nn.Module) -> tuple[int, int] | None:
    """(in, out) of a linear map, None for anything else."""
    sizes = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if isinstance(sizes[0], int) and isinstance(sizes[1], int):  # whatever form its weight has
        return sizes[0], sizes[1]
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2 or isinstance(module, nn.Embedding):
        return None
    rows, columns = weight.shape
    return (rows, columns) if inputs_first(module) else (columns, rows)


def inputs_first(module: nn.Module) -> bool:
    """Whether the weight is [in, out], as in the Conv1D of GPT-2, and not [out, in]."""
    return type(module).__name__ == "Conv1D"


def is_quantised(module: nn.Module) -> bool:
    """Whether the weight is anything but numbers of at least 16 bits in the shape of the map."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or type(weight) not in (Tensor, nn.Parameter):
        return True
    if not weight.is_floating_point() or weight.element_size() < 2:
        return True
    return sorted(weight.shape) != sorted(shape_of(module) or ())


def by_input(module: nn.Module, dtype: torch.dtype) -> Tensor:
    """What each input adds to the outputs: [in, out]. A view of the weight where that is possible."""
    if is_quantised(module):
        return torch.cat(list(read_blocks(module, dtype)))
    weight = whole_weight(module)
    return weight if inputs_first(module) else weight.T


def whole_weight(module: nn.Module) -> Tensor:
    """The weight in the module's own layout, brought from where it is offloaded."""
    with align_module_device(module):
        weight: Any = module.weight
        whole: Tensor = weight.detach()
        return whole


def bias_of(module: nn.Module, dtype: torch.dtype) -> Tensor | None:
    """[out], or None where there is none."""
    if is_quantised(module):
        return _outputs(module, dtype, slice(0, 0))[0]
    with align_module_device(module):
        return getattr(module, "bias", None)


def read_blocks(module: nn.Module, dtype: torch.dtype) -> Iterator[Tensor]:
    """`by_input` of a quantised module, a block of inputs at a time: its outputs for unit inputs, without the bias.

    No engine's format need be known, and the module itself says what it computes with.
    """
    sizes = shape_of(module)
    assert sizes is not None
    for start in range(0, sizes[0], BLOCK):
        found = _outputs(module, dtype, slice(start, min(start + BLOCK, sizes[0])))
        yield found[1:] - found[:1]


def _outputs(module: nn.Module, dtype: torch.dtype, units: slice) -> Tensor:
    """The outputs for a zero input and for the unit inputs of a slice: [1 + unit, out]."""
    held = chain(module.parameters(), module.buffers())
    device = next((t.device for t in held if t.device.type != "meta"), torch.device("cpu"))
    width = (shape_of(module) or (0, 0))[0]
    inputs = torch.zeros(1 + units.stop - units.start, width, dtype=dtype, device=device)
    inputs[1:].diagonal(units.start).fill_(1.0)
    outputs: Tensor = module.forward(inputs)  # not a call: whoever observes the module must not see this
    return outputs


def by_row(flat: Tensor, rows: int) -> Tensor:
    """[row * token, x] or [row, token, x] -> [row, token, x], of the same memory."""
    return flat.view(rows, -1, flat.shape[-1])
