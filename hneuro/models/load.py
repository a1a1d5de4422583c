"""Loads a checkpoint by the ordinary Hugging Face path, finds its FFN neurons and proves them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from hneuro.models.edits import Edits, LayerEdit
from hneuro.models.ffn import FFN, find_ffn
from hneuro.models.gguf import GgufSource
from hneuro.models.hooks import calls, intervene, read_in_one_piece
from hneuro.models.sources import CheckpointSource, HubCheckpoint, weight_files
from hneuro.models.spec import ModelSpec, pick_device
from hneuro.models.weights import by_row
from hneuro.progress import is_quiet
from hneuro.records import UserError

NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Loaded:
    """The weights of a model in memory, ready to be measured."""

    model: Any
    ffn: FFN

    @property
    def device(self) -> torch.device:
        """Where token ids go: the device of the first weight that is not offloaded."""
        parts: Iterable[Tensor] = self.model.parameters()
        return next(p.device for p in parts if p.device.type != "meta")

    @property
    def dtype(self) -> torch.dtype:
        return self.ffn.layers[0].dtype

    @cached_property
    def column_norms(self) -> tuple[Tensor, ...]:
        """||W_down[:, j]|| of each layer [neuron], on the layer's device. Read once: loaded weights do not change."""
        return tuple(projection.column_norms() for projection in self.ffn.layers)


def load_tokenizer(source: CheckpointSource) -> Any:
    if isinstance(source, GgufSource):
        return _gguf_tokenizer(source, source.identity())
    tokenizer = _from_pretrained(AutoTokenizer, source)
    if type(tokenizer).__name__ == "MistralCommonBackend":  # chosen where mistral-common is installed; has no template
        tokenizer = _from_pretrained(PreTrainedTokenizerFast, source)
    return _with_padding(tokenizer)


@lru_cache(maxsize=2)  # it takes seconds, which every cell of a sweep would pay
def _gguf_tokenizer(source: GgufSource, identity: str) -> Any:  # noqa: ARG001
    tokenizer = _from_pretrained(AutoTokenizer, source)
    tokenizer.name_or_path = source.locate()  # not the folder that it was read in
    return _with_padding(tokenizer)


def _with_padding(tokenizer: Any) -> Any:
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load(source: CheckpointSource, spec: ModelSpec, ends: Sequence[int] = ()) -> Loaded:
    """The checkpoint on its device, without gradients; `UserError` if its FFN neurons cannot be found or proven.

    `ends`: tokens that end an answer, such as its tokenizer's end of text, besides those of the model's own settings.
    """
    if Path(source.locate()).is_dir() and not weight_files(Path(source.locate())):
        raise UserError(f"{source.locate()} has no safetensors: save it again with transformers")
    config = _from_pretrained(AutoConfig, source)
    auto = _auto(config)
    options: dict[str, Any] = {"dtype": spec.dtype, "attn_implementation": spec.attention, "output_loading_info": True}
    # Where peft is installed, transformers would follow an adapter's settings that merged weights have beside them.
    options["adapter_kwargs"] = {"subfolder": "no-adapter"}
    model, info = _from_pretrained(auto, source, **options, **_spread(spec), **_dequantised(source, config))
    if absent := sorted(info["missing_keys"]):
        raise UserError(
            f"{source.locate()} lacks the weights {absent[0]} and {len(absent) - 1} more: it is not complete"
        )
    if left := _of_other_layers(info["unexpected_keys"], dict(model.named_parameters())):
        raise UserError(
            f"{source.locate()} holds weights that its config.json leaves out, such as {left}: another model would be "
            "measured; mend its config.json"
        )
    if isinstance(source, GgufSource):  # plain numbers by now, whatever is left behind says
        model.hf_quantizer = None
        vars(model.config).pop("quantization_config", None)
    model.eval().requires_grad_(False)
    read_in_one_piece(model)
    if spec.device_map is None:
        model.to(_device(spec.device))
    # Decoding is ours to state in full; only the ids that end a turn come from the checkpoint.
    model.generation_config = GenerationConfig(
        eos_token_id=_all_ends(model, source, ends),
        pad_token_id=model.generation_config.pad_token_id,
        bos_token_id=model.generation_config.bos_token_id,
    )
    ffn = find_ffn(model)
    prove(model, ffn)
    return Loaded(model, ffn)


def _of_other_layers(unexpected: Iterable[str], loaded: Iterable[str]) -> str | None:
    """A tensor that differs from one of the model in its number alone: the config has fewer layers, or experts."""
    known = {NUMBER.sub("#", name) for name in loaded}
    return next((name for name in sorted(unexpected) if NUMBER.sub("#", name) in known), None)


def _all_ends(model: Any, source: CheckpointSource, ends: Sequence[int]) -> list[int] | None:
    own = model.generation_config.eos_token_id
    found = {*(own if isinstance(own, list) else [own]), *ends} - {None}
    if isinstance(source, GgufSource) and (header := source.header()) is not None:
        found |= header.turn_ends
    return sorted(found) or None


def own_ends(source: CheckpointSource) -> set[int]:
    """The tokens that end an answer by the checkpoint's own settings."""
    if isinstance(source, GgufSource):
        return set() if (header := source.header()) is None else set(header.turn_ends)
    try:
        own = _from_pretrained(GenerationConfig, source).eos_token_id
    except UserError:  # it has none
        own = getattr(_from_pretrained(AutoConfig, source).get_text_config(), "eos_token_id", None)
    return {*(own if isinstance(own, list) else [own])} - {None}


def limits(source: CheckpointSource) -> tuple[int | None, int | None]:
    """Tokens that the model reads at most, and how many have an embedding; None where its config does not say."""
    if isinstance(source, GgufSource):
        values = {} if (header := source.header()) is None else header.values
        return values.get(f"{values.get('general.architecture')}.context_length"), None
    try:
        config = _from_pretrained(AutoConfig, source).get_text_config()
    except UserError:  # said when the model is loaded
        return None, None
    return getattr(config, "max_position_embeddings", None), getattr(config, "vocab_size", None)


def _dequantised(source: CheckpointSource, config: Any) -> dict[str, Any]:
    """What makes `from_pretrained` unpack the weights of a GGUF file, where it could also leave them packed."""
    if not isinstance(source, GgufSource):
        return {}
    options = {"config": config}  # reading it takes seconds: not a second time
    if hasattr(transformers, "GgufConfig"):
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    return options


def empty_model(source: CheckpointSource) -> Any:
    """The model without weights: its structure, on the meta device."""
    config = _from_pretrained(AutoConfig, source)
    with torch.device("meta"):
        return _auto(config).from_config(config)


def _auto(config: Any) -> Any:
    """Some decoders are only published inside a multimodal wrapper, such as Mistral Small 3.1."""
    known = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return AutoModelForCausalLM if known else AutoModelForImageTextToText


@torch.no_grad()
def prove(model: Any, ffn: FFN) -> None:
    """Eight tokens through the model: every projection gets z of its width, gives W z + b, and matters for the logits.

    Raises `UserError` when one does not, so that a layout which only looks right cannot pass. All layers are silenced
    in one pass: row n + 1 of its batch without layer n, row 0 untouched.
    """
    kind = type(model).__name__
    tokens = torch.arange(1, 9, device=Loaded(model, ffn).device)[None]
    proven: set[int] = set()

    def read(layer: int, inputs: tuple[Any, ...], output: Tensor) -> None:
        projection = ffn.layers[layer]
        h = by_row(output, 1)
        expected = projection.expected(inputs).view_as(h)
        # Relative to the size of h: the rounding of a half precision model is no error, another map is.
        tolerance = 1e-2 if projection.is_plain else 5e-2  # some engines round z to 8 bits, too
        if h.shape[:2] == (1, 8) and (expected - h).float().norm() <= tolerance * h.float().norm():
            proven.add(layer)

    with calls(ffn, read):
        logits = model(input_ids=tokens, use_cache=False).logits
    if logits.isnan().any() or logits.isposinf().any():
        raise UserError(
            f"{kind} computes NaN or infinity: its weights are damaged, or too large for model.dtype={model.dtype}"
        )
    if unproven := set(range(len(ffn.layers))) - proven:
        raise UserError(f"layer {min(unproven)} of {kind} does not compute h = W_down z for every token: not supported")
    with intervene(ffn, _each_layer_silenced(ffn)):
        logits = model(input_ids=tokens.expand(1 + len(ffn.layers), -1), use_cache=False).logits
    for layer in range(len(ffn.layers)):
        if torch.equal(logits[0], logits[1 + layer]):
            raise UserError(f"silencing the FFN of layer {layer} of {kind} moves no logit: the wrong module was found")


def _each_layer_silenced(ffn: FFN) -> Edits:
    by_layer = {}
    for layer, projection in enumerate(ffn.layers):
        factors = torch.ones(1 + len(ffn.layers), 1)
        factors[1 + layer] = 0.0
        by_layer[layer] = LayerEdit(torch.arange(projection.width), factors.expand(-1, projection.width))
    return Edits(by_layer)


def _spread(spec: ModelSpec) -> dict[str, Any]:
    """How `from_pretrained` is told to spread a model."""
    if spec.device_map is None:
        return {}
    if spec.device != "auto":
        raise UserError("model.device and model.device_map exclude each other: leave model.device=auto")
    return {"device_map": spec.device_map}


def _device(wanted: str) -> str:
    device = pick_device(wanted)
    kind = device.partition(":")[0]
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind, True):
        raise UserError(
            f"there is no {kind.upper()} device here for model.device={wanted}: use model.device=auto or cpu"
        )
    if device.startswith("cuda:") and int(device[5:]) >= torch.cuda.device_count():
        raise UserError(f"model.device={wanted}: there are {torch.cuda.device_count()} CUDA devices here, from cuda:0")
    return device


def _from_pretrained(auto: Any, source: CheckpointSource, **options: Any) -> Any:
    """`from_pretrained`, with one clear line for what usually goes wrong."""
    where = source.locate()
    (logging.disable_progress_bar if is_quiet() else logging.enable_progress_bar)()
    if isinstance(source, GgufSource):
        return _from_gguf(auto, source, **options)
    try:
        revision = source.commit() if isinstance(source, HubCheckpoint) and not Path(where).is_dir() else "main"
        # Said, for else transformers asks at the terminal whether the checkpoint's own code may run.
        return auto.from_pretrained(where, revision=revision, trust_remote_code=False, **options)
    except (OSError, ValueError, ImportError, RuntimeError, LookupError, TypeError, SafetensorError) as fault:
        way = "its files may be damaged, or not belong together" if Path(where).is_dir() else "or name a local folder"
        raise UserError(f"cannot load {where}: {_line(fault)} ({way})") from fault


def _from_gguf(auto: Any, source: GgufSource, **options: Any) -> Any:
    """`from_pretrained` on nothing but the file. What its reader stumbles over comes as any kind of exception."""
    with source.alone() as where, ExitStack() as stack:
        if is_quiet():
            stack.enter_context(redirect_stderr(StringIO()))  # its bars ask nobody
        try:
            return auto.from_pretrained(**where, **options)
        except (OSError, ValueError, ImportError, LookupError, AttributeError, TypeError, RuntimeError) as fault:
            raise UserError(f"cannot load {source.locate()}: transformers says {_line(fault)}") from fault


def _line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]
