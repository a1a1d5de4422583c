"""A stand-in for vLLM: the parts of its interface that are used, on a model of the transformers library.

Arguments and defaults are those of vLLM 0.33, and what vLLM refuses is refused. Ids and log-probabilities are real, and
so are stale keys and values in a prefix cache that was not reset behind an edit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from .workers import workers_of

__version__ = "0.33.0"
GPUS = 1
BLOCK = 4  # tokens of a block of the prefix cache
running: list[LLM] = []  # engines that hold the device
started: list[dict[str, Any]] = []  # what each was started with

# Of `EngineArgs`, which takes what `LLM` itself does not name.
ENGINE_ARGS = {
    "max_model_len": None,
    "pipeline_parallel_size": 1,
    "enable_prefix_caching": None,
    "logprobs_mode": "raw_logprobs",
    "worker_extension_cls": "",
    "max_logprobs": 20,
    "generation_config": "auto",
    "max_num_seqs": None,
    "disable_log_stats": True,
}


@dataclass(kw_only=True)
class SamplingParams:
    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    include_stop_str_in_output: bool = False

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, got {self.n}.")
        if self.temperature < 1e-5 and self.n > 1:
            raise ValueError(f"n must be 1 when using greedy sampling, got {self.n}.")
        if self.top_k < -1:
            raise ValueError(f"top_k must be 0 (disable), or at least 1, got {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}.")
        if self.stop and not self.detokenize:
            raise ValueError("stop strings are only supported when detokenize is True.")
        if self.seed is not None and not -(2**63) <= self.seed < 2**63:
            raise ValueError("seed must be a 64-bit integer")


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: Sequence[int]
    cumulative_logprob: float | None
    logprobs: list[dict[int, Logprob]] | None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int] | None
    outputs: list[CompletionOutput]
    finished: bool = True
    metrics: Any = field(default=None)


class LLM:
    def __init__(
        self,
        model: str,
        *,
        runner: str = "auto",
        tokenizer: str | None = None,
        tokenizer_mode: str = "auto",
        skip_tokenizer_init: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        quantization: str | None = None,
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        seed: int = 0,
        gpu_memory_utilization: float = 0.92,
        enforce_eager: bool = False,
        **kwargs: Any,
    ) -> None:
        for name in kwargs:
            if name not in ENGINE_ARGS:
                raise TypeError(f"EngineArgs.__init__() got an unexpected keyword argument {name!r}")
        self.args = {**ENGINE_ARGS, **kwargs}
        size = tensor_parallel_size * self.args["pipeline_parallel_size"]
        if size > GPUS:
            raise ValueError(
                f"World size ({size}) is larger than the number of available GPUs ({GPUS}) in this node.\n"
                "If this is intentional and you are using:\n- ray, set '--distributed-executor-backend ray'."
            )
        if running:
            raise ValueError("Free memory on device cuda:0 (1.2/79.1 GiB) is less than desired GPU memory utilization")
        started.append({"model": model, "dtype": dtype, "revision": revision, "seed": seed} | self.args)
        running.append(self)
        self.model = AutoModelForCausalLM.from_pretrained(model, revision=revision, dtype=dtype).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(tokenizer or model)
        end = self.model.generation_config.eos_token_id
        self.ends = {*(end if isinstance(end, list) else [end])}
        self.workers = workers_of(self.model, tensor_parallel_size, **self.args)
        self.calls: list[tuple[str, list[Any]]] = []  # what the workers were asked to do
        self.prefixes: list[tuple[list[int], list[tuple[Tensor, Tensor]]]] = []  # ids, keys and values of each layer
        self.unfinished = False
        self.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=lambda: running.remove(self)))

    def collective_rpc(
        self, method: str, timeout: float | None = None, args: tuple[Any, ...] = (), kwargs: None = None
    ) -> list[Any]:
        assert self in running, "the engine has been shut down"
        travelled = json.loads(json.dumps(args))  # plain values alone, and tuples arrive as lists
        self.calls.append((method, travelled))
        return [worker.call(method, travelled) for worker in self.workers]

    def reset_prefix_cache(self, reset_running_requests: bool = False, reset_connector: bool = False) -> bool:
        assert self in running, "the engine has been shut down"
        if self.unfinished:
            return False  # blocks are in use
        self.prefixes.clear()
        return True

    def generate(
        self,
        prompts: Sequence[dict[str, list[int]]],
        sampling_params: Sequence[SamplingParams] | None = None,
        *,
        use_tqdm: bool = True,
        lora_request: Any = None,
        priority: list[int] | None = None,
    ) -> list[RequestOutput]:
        assert self in running, "the engine has been shut down"
        assert sampling_params is not None
        made = []
        self.unfinished = True
        for number, (prompt, params) in enumerate(zip(prompts, sampling_params, strict=True)):
            (ids,) = prompt.values()
            if len(ids) > self.args["max_model_len"]:
                raise ValueError(
                    f"The decoder prompt (length {len(ids)}) is longer than the maximum model length of "
                    f"{self.args['max_model_len']}.\nMake sure that `max_model_len` is no smaller."
                )
            outputs = [self._output(ids, params, n) for n in range(params.n)]
            made.append(RequestOutput(str(number), None, ids, outputs[::-1]))  # in no order that is promised
        self.unfinished = False
        return made

    @torch.inference_mode()
    def _output(self, prompt: list[int], params: SamplingParams, index: int) -> CompletionOutput:
        generator = torch.Generator().manual_seed((params.seed or 0) + index)
        said: list[int] = []
        logprobs: list[dict[int, Logprob]] = []
        stops = [params.stop] if isinstance(params.stop, str) else params.stop or []
        reason = "length"
        known, past = self._cached(prompt)
        while len(said) < (params.max_tokens or 16) and len(prompt) + len(said) < self.args["max_model_len"]:
            cache = DynamicCache(config=self.model.config)
            for layer, (keys, values) in enumerate(past):
                cache.update(keys[:, :, :known], values[:, :, :known], layer)
            ids = torch.tensor([[*prompt, *said][known:]])
            logits = self.model(ids, past_key_values=cache).logits[0, -1].float()
            if not said:
                self._remember(prompt, cache)
            token = self._draw(logits, params, generator)
            said.append(token)
            logprobs.append({token: Logprob(float(torch.log_softmax(logits, -1)[token]))})
            if token in self.ends or any(stop in self.tokenizer.decode(said) for stop in stops):
                reason = "stop"
                break
        text = self.tokenizer.decode(said, skip_special_tokens=True) if params.detokenize else ""
        return CompletionOutput(index, text, said, None, logprobs if params.logprobs is not None else None, reason)

    def _cached(self, prompt: list[int]) -> tuple[int, list[tuple[Tensor, Tensor]]]:
        """How many tokens of a prompt were read before, in whole blocks, and their keys and values. Never the last."""
        found: tuple[int, list[tuple[Tensor, Tensor]]] = (0, [])
        for ids, past in self.prefixes:
            same = next((n for n, (a, b) in enumerate(zip(ids, prompt, strict=False)) if a != b), len(ids))
            length = min(same, len(prompt) - 1) // BLOCK * BLOCK
            found = max(found, (length, past), key=lambda one: one[0])
        return found

    def _remember(self, prompt: list[int], cache: DynamicCache) -> None:
        if self.args["enable_prefix_caching"] is not False:
            size = len(prompt)
            past = [(layer.keys[:, :, :size].clone(), layer.values[:, :, :size].clone()) for layer in cache.layers]
            self.prefixes.append((prompt, past))

    @staticmethod
    def _draw(logits: torch.Tensor, params: SamplingParams, generator: torch.Generator) -> int:
        if params.temperature < 1e-5:
            return int(logits.argmax())
        scores, order = (logits / params.temperature).sort(descending=True)
        if params.top_k > 0:
            scores, order = scores[: params.top_k], order[: params.top_k]
        shares = scores.softmax(-1)
        shares = shares * (shares.cumsum(-1) - shares < params.top_p)
        return int(order[torch.multinomial(shares, 1, generator=generator)])
