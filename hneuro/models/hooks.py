"""Hooks in a model for a measurement or an intervention, which both always remove."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hneuro.models.edits import Derivative, Edited, Edits
from hneuro.models.experts import Passed
from hneuro.models.ffn import FFN
from hneuro.models.weights import by_row

# (layer, z [batch, token, neuron], h [batch, token, hidden])
Reader = Callable[[int, Tensor, Tensor], None]


@contextmanager
def observe(
    ffn: FFN, rows: int, read: Reader, layers: Collection[int] | None = None, *, last: bool = False
) -> Iterator[None]:
    """Calls `read` with the input z and the output h of every layer's down projection, in the order of the layers.

    `layers`: of these alone; whoever generates token by token pays for every one that is read. `last`: z and h of the
    last token of each row alone.
    `rows` of the batch: some decoders (OPT) run their FFN on rows and tokens in one axis, which is undone here.
    """

    def by_row_read(layer: int, inputs: tuple[Any, ...], output: Tensor) -> None:
        read(layer, ffn.layers[layer].neurons(inputs, rows, last), by_row(output, rows)[:, -last:])

    with calls(ffn, by_row_read, layers):
        yield


@contextmanager
def calls(
    ffn: FFN, seen: Callable[[int, tuple[Any, ...], Tensor], None], layers: Collection[int] | None = None
) -> Iterator[None]:
    """Calls `seen` with the layer, the inputs and the output of every layer's down projection, as they are."""

    def note(within: dict[nn.Module, Passed]) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        return lambda module, inputs, output: within.update({module: (inputs, output)})

    def hook_of(layer: int, within: dict[nn.Module, Passed]) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            found = ffn.layers[layer].inputs_of(inputs, within)
            within.clear()
            seen(layer, found, output[0] if isinstance(output, tuple) else output)

        return hook

    handles: list[Any] = []
    try:
        for layer, projection in enumerate(ffn.layers):
            if layers is not None and layer not in layers:
                continue
            within: dict[nn.Module, Passed] = {}
            handles += [part.register_forward_hook(note(within)) for part in projection.parts]
            handles.append(projection.module.register_forward_hook(hook_of(layer, within)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def attribute(ffn: FFN, rows: int, read: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Calls `read` with a layer and the derivative of what is differentiated by the gain of each of its neurons.

    [row, neuron], summed over tokens, as the backward pass gets there: the last layer first, of a layer with a shared
    expert in two parts. What a layer has computed is let go and computed again on the way back, so that z and its
    gradient are held of one layer at a time. Parameters need no gradient.
    """

    def hook_of(layer: int, derivative: Derivative) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        recomputed: list[tuple[Any, ...]] = []
        forward = True

        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            nonlocal forward
            z = inputs[0].requires_grad_(True)  # of the first layer: nothing before it has a gradient
            if forward:
                forward = False
                z.register_hook(lambda gradient: read(layer, derivative(recomputed.pop(), gradient, rows)))
            else:
                recomputed[:] = [tuple(one.detach() if isinstance(one, Tensor) else one for one in inputs)]

        return hook

    handles: list[Any] = []
    before = [(block, vars(block).get("forward")) for block in ffn.blocks]
    try:
        for block in ffn.blocks:
            again = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
            vars(block)["forward"] = again
        for layer, projection in enumerate(ffn.layers):
            for module, derivative in projection.derivatives:
                handles.append(module.register_forward_pre_hook(hook_of(layer, derivative)))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for block, own in before:
            vars(block).pop("forward", None)
            vars(block).update({} if own is None else {"forward": own})


@contextmanager
def steer(ffn: FFN, layer: int, vector: Tensor) -> Iterator[None]:
    """Adds a vector [hidden] to the residual stream after a layer, at every position of every row."""

    def hook(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0] + vector.to(output[0]), *output[1:])
        return output + vector.to(output)

    handle = ffn.blocks[layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def watch_for_good(maps: Mapping[int, nn.Module], seen: Callable[[int, Tensor, Tensor], None]) -> None:
    """Calls `seen` with the layer, the input and the output of its linear map, as long as the model lives.

    For models of another engine, which are gone when their process is.
    """

    def hook_of(layer: int) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        return lambda _, inputs, output: seen(layer, inputs[0], output[0] if isinstance(output, tuple) else output)

    for layer, linear in maps.items():
        linear.register_forward_hook(hook_of(layer))


def scale_for_good(maps: Mapping[int, nn.Module], scaled: Mapping[int, tuple[Tensor, float]]) -> None:
    """Multiplies inputs of the linear maps, as `scaled` says while they run: layer -> which, and by how much.

    In place, as in `intervene`. For models of another engine, which are gone when their process is.
    """

    def hook_of(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            if layer in scaled:
                columns, alpha = scaled[layer]
                inputs[0][..., columns] *= alpha

        return hook

    for layer, linear in maps.items():
        linear.register_forward_pre_hook(hook_of(layer))


@contextmanager
def intervene(ffn: FFN, amounts: Edits) -> Iterator[None]:
    """Edits z before every down projection, each row as its treatment says. No edit, no hook: bit-identical.

    In place where no gradient is wanted: z is a fresh temporary of the activation, and a copy of it costs a fifth of
    the projection itself.
    """

    def hook_of(edited: Edited) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
        return lambda _, inputs: edited(inputs)

    handles: list[Any] = []
    try:
        for layer, edit in amounts.by_layer.items():
            for module, edited in ffn.layers[layer].edited_by(edit):
                handles.append(module.register_forward_pre_hook(hook_of(edited)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def read_in_one_piece(model: Any) -> None:
    """The head gets the last positions of a batch without gaps: of a view torch would multiply row by row.

    With 64 rows of SmolLM2 that takes 11 times as long in float32, and in bfloat16 230 times and a copy of W a row.
    """
    if (head := model.get_output_embeddings()) is not None:
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))
