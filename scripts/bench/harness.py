"""What the benches have in common: real models, Llamas with random weights, and how time and memory are taken."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from transformers import LlamaConfig, LlamaForCausalLM

from hneuro.config import build_experiment, config_folder, register_schema
from hneuro.config_faults import explain
from hneuro.experiment import Experiment
from hneuro.models.ffn import find_ffn
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.records import UserError


@dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    width: int  # neurons of a layer
    heads: int = 8
    kv_heads: int = 8
    vocabulary: int = 8000


SHAPES = {
    "tiny": Shape(2, 64, 192),
    "small": Shape(8, 512, 1536),
    "large": Shape(16, 1024, 4096),
    "8b": Shape(32, 4096, 14336, heads=32, kv_heads=8, vocabulary=128_256),  # Llama-3.1-8B
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def composed(overrides: Sequence[str]) -> Experiment:
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        try:
            return build_experiment(compose("config", overrides=list(overrides)))
        except (HydraException, OmegaConfBaseException) as fault:
            raise UserError(explain(fault)) from fault


def build(name: str, dtype: str, device: str) -> Loaded:
    """A Llama of SHAPES, or a choice of conf/model (with overrides), whose responses never end by themselves."""
    if name not in SHAPES:
        spec = composed([*f"model={name}".split(), f"model.dtype={dtype}", f"model.device={device}"]).model
        loaded = LanguageModel(spec.chat, spec, completion=False).loaded
        loaded.model.generation_config.eos_token_id = None
        return loaded
    shape = SHAPES[name]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
    )
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=DTYPES[dtype])
    model.eval().requires_grad_(False)
    model.generation_config.eos_token_id = None
    return Loaded(model, find_ffn(model))


def timed(method: Callable[[], object], device: str) -> tuple[float, float]:
    """Seconds, and MB that were allocated on a GPU at most beside what stood there before (elsewhere NaN)."""
    if not device.startswith("cuda"):
        started = time.perf_counter()
        method()
        return time.perf_counter() - started, float("nan")
    torch.cuda.synchronize()  # its work goes on while Python does
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before, started = torch.cuda.memory_allocated(), time.perf_counter()
    method()
    torch.cuda.synchronize()
    return time.perf_counter() - started, (torch.cuda.max_memory_allocated() - before) / 2**20


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return "one thread" if threads == 1 else f"{threads} threads"


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
