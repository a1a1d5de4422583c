"""The answers of `hneuro serve --engine vllm`: as `hneuro.detection.live.Live`, computed and read in vLLM's workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from hneuro.detection.live import Turn
from hneuro.detector import Detector
from hneuro.models.files import stored_ffn
from hneuro.records import UserError
from hneuro.responses.noise import row_seed
from hneuro.responses.vllm import VllmSampler, in_one_line, sampling_params

EXTENSION = "hneuro.serve.vllm_worker.RiskReader"


@dataclass(kw_only=True, eq=False)
class _Request:
    """What vLLM has said to a turn, and what was read of it."""

    turn: Turn
    number: str  # under which it was given to vLLM
    name: str  # that vLLM gave it
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    likely: list[list[tuple[int, float]]] = field(default_factory=list)
    read: dict[int, float] = field(default_factory=dict)  # position in prompt + answer -> log-odds
    finish: str = ""  # as vLLM says it


class VllmLive:
    """The turns that vLLM answers at the same time.

    A token is known when it is drawn, and read when the next one is. So vLLM is asked for one token more than is
    wanted: the last is drawn to read the one before, and belongs to no answer.
    """

    def __init__(self, detector: Detector, devices: int = 1) -> None:
        self.detector, self.model = detector, detector.model.language_model
        self.requests: list[_Request] = []
        self._count = 0
        # Passes that are compiled call no hook; a request's own seed kills vLLM on a CPU.
        sampler = VllmSampler(
            dtype=self.model.spec.dtype,
            tensor_parallel_size=devices,
            max_model_len=None,
            gpu_memory_utilization=0.9 if torch.cuda.is_available() else 0.3,  # there, of all memory of the machine
            enforce_eager=True,
            seeded=torch.cuda.is_available(),
        )
        sampler.close()  # one that has died
        self.sampler = sampler
        self._engine = sampler.engine(self.model, EXTENSION, self._watch).llm_engine

    @property
    def turns(self) -> list[Turn]:
        return [request.turn for request in self.requests]

    @property
    def open(self) -> bool:
        return True

    def close(self) -> None:
        self.sampler.close()

    def add(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            self._count += 1
            seed = row_seed(turn.seed) % (1 << 62) if self.sampler.seeded else None
            params = sampling_params(self.model, turn.decoding, seed, logprobs=turn.likeliest)
            params.max_tokens += 1
            number, prompt = str(self._count), {"prompt_token_ids": list(turn.prompt_ids)}
            with in_one_line(self.model):
                name = self._engine.add_request(number, prompt, params)
            self.requests.append(_Request(turn=turn, number=number, name=name))

    def step(self) -> None:
        """Until vLLM has said something; what has ended leaves."""
        self.leave()
        if not self.requests:
            return
        with in_one_line(self.model):
            said = self._engine.step()
            shares = [one for worker in self._engine.collective_rpc("hneuro_risks") for one in worker]
        by_number = {request.number: request for request in self.requests}
        for output in said:
            if output.request_id in by_number:
                _note(by_number[output.request_id], output)
        sums: dict[tuple[str, int], float] = defaultdict(lambda: self.detector.classifier.bias)
        for name, position, share in shares:  # of every worker
            sums[name, position] += share
        by_name = {request.name: request for request in self.requests}
        for (name, position), log_odds in sums.items():
            if name in by_name:
                by_name[name].read[position] = log_odds
        for request in self.requests:
            _grow(request)
        self.leave()

    def leave(self) -> None:
        """Lets finished turns go, and vLLM answers them no longer."""
        gone = [request for request in self.requests if request.turn.finish]
        if stopped := [request.name for request in gone if not request.finish]:
            self._engine.abort_request(stopped, internal=True)
        self.requests = [request for request in self.requests if not request.turn.finish]

    def _watch(self, engine: Any) -> None:
        """Its workers read the detector's neurons from now on."""
        classifier, space, ffn = self.detector.classifier, self.detector.space, stored_ffn(self.model.source)
        weights = dict(zip(classifier.columns, classifier.weight.tolist(), strict=True))
        columns = []
        for layer, indices in space.by_layer(classifier.columns).items():
            norms = ffn.layers[layer].down_rows()[list(indices)].float().norm(dim=1).tolist()
            own = [weights[space.flat(layer, index)] * norm for index, norm in zip(indices, norms, strict=True)]
            columns.append((layer, list(indices), own))
        with in_one_line(self.model):
            faults = engine.collective_rpc("hneuro_read", args=(space.n_layers, space.width, columns))
        for fault in filter(None, faults):
            raise UserError(f"--engine vllm cannot read the neurons of {self.model.source.locate()}: {fault}")


def _note(request: _Request, output: Any) -> None:
    """What vLLM has said so far, all of it."""
    (said,) = output.outputs
    request.tokens = [int(token) for token in said.token_ids]
    request.finish = said.finish_reason or ""
    for token, at in list(zip(request.tokens, said.logprobs, strict=True))[len(request.logprobs) :]:
        request.logprobs.append(float(at[token].logprob))
        best = sorted(at.items(), key=lambda one: -one[1].logprob)[: request.turn.likeliest]
        request.likely.append([(int(other), float(known.logprob)) for other, known in best])


def _grow(request: _Request) -> None:
    """Gives the turn all tokens that have been read, and its end."""
    turn, start = request.turn, len(request.turn.prompt_ids)
    if turn.finish:
        return
    tokens = request.tokens[:-1] if request.finish == "stop" else request.tokens
    places = range(start - 1, start + min(len(tokens), turn.decoding.max_new_tokens))
    read = []
    for place in places:
        if place not in request.read:
            break
        read.append(request.read[place])
    turn.log_odds = read
    count = max(len(read) - 1, 0)
    turn.token_ids, turn.logprobs = tokens[:count], request.logprobs[:count]
    turn.likely = request.likely[:count] if turn.likeliest else []
    if request.finish or count == turn.decoding.max_new_tokens:
        turn.finish = "stop" if request.finish == "stop" else "length"
