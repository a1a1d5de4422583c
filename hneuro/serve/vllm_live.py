"""The answers of `hneuro serve --engine vllm`: as `hneuro.detection.live.Live`, computed and read in vLLM's workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hneuro.detection.live import Turn
from hneuro.detector import Detector
from hneuro.models.files import stored_ffn
from hneuro.records import UserError
from hneuro.responses.vllm import VllmSampler, in_one_line, sampling_params

EXTENSION = "hneuro.serve.vllm_worker.RiskReader"


@dataclass(kw_only=True, eq=False)
class _Request:
    """A turn as vLLM knows it, and what has been read of it."""

    turn: Turn
    number: str  # under which it was given to vLLM
    name: str  # that vLLM gave it
    read: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # position in prompt + answer -> [neuron]
    finish: str = ""  # as vLLM says it


class VllmLive:
    """The turns that vLLM answers at the same time.

    A token is read when the next one is drawn. So vLLM is asked for one token more than is wanted: the last is drawn to
    read the one before, and belongs to no answer.
    """

    def __init__(self, detector: Detector, devices: int = 1) -> None:
        self.detector, self.model = detector, detector.model.language_model
        self.requests: list[_Request] = []
        self._count = 0
        # Passes that are compiled call no hook; a request's own seed kills vLLM on a CPU.
        self.sampler = VllmSampler(
            dtype=self.model.spec.dtype,
            tensor_parallel_size=devices,
            max_model_len=None,
            gpu_memory_utilization=0.9 if torch.cuda.is_available() else 0.3,  # there, of all memory of the machine
            enforce_eager=True,
            seeded=torch.cuda.is_available(),
        )
        self.sampler.close()  # one that has died
        self._engine = self.sampler.engine(self.model, EXTENSION, self._watch).llm_engine

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
            seed = turn.noise % (1 << 62) if self.sampler.seeded else None
            params = sampling_params(self.model, turn.decoding, seed, logprobs=turn.likeliest)
            params.max_tokens += 1
            number, prompt = str(self._count), {"prompt_token_ids": list(turn.prompt_ids)}
            with in_one_line(self.model):
                name = self._engine.add_request(number, prompt, params)
            self.requests.append(_Request(turn=turn, number=number, name=name))

    def step(self) -> None:
        """Until vLLM has said something; what has ended and been read leaves."""
        self.leave()
        if not self.requests:
            return
        with in_one_line(self.model):
            said = self._engine.step()
            workers = self._engine.collective_rpc("hneuro_read_since")
        by_number = {request.number: request for request in self.requests}
        for output in said:
            if output.request_id in by_number:
                _note(by_number[output.request_id], output)
        by_name = {request.name: request for request in self.requests}
        for name, position, neurons, added in (one for worker in workers for one in worker):
            if name in by_name:  # each worker has read its own neurons
                nothing = np.zeros(len(self.detector.classifier.columns), dtype=np.float32)
                by_name[name].read.setdefault(position, nothing)[neurons] = added
        for request in self.requests:
            self._give(request)
        self.leave()

    def _give(self, request: _Request) -> None:
        """What has been read, to the turn. What vLLM can no longer read, as its context is full, is left out."""
        turn = request.turn
        while len(turn.added) <= len(turn.token_ids):
            found = request.read.get(len(turn.prompt_ids) - 1 + len(turn.added))
            if found is None:
                break
            turn.added.append(found)
            turn.log_odds.append(float(found.sum()) + self.detector.classifier.bias)
        if request.finish and not turn.done:
            for values in (turn.token_ids, turn.logprobs, turn.likely):
                del values[max(len(turn.added) - 1, 0) :]

    def leave(self) -> None:
        """Lets those that are done go, and vLLM answers them no longer."""
        done = [request for request in self.requests if request.turn.done]
        if unfinished := [request.name for request in done if not request.finish]:
            self._engine.abort_request(unfinished, internal=True)
        self.requests = [request for request in self.requests if not request.turn.done]

    def _watch(self, engine: Any) -> None:
        """Its workers read the detector's neurons from now on."""
        classifier, space, ffn = self.detector.classifier, self.detector.space, stored_ffn(self.model.source)
        place = {neuron: n for n, neuron in enumerate(classifier.columns)}
        columns = []
        for layer, indices in space.by_layer(classifier.columns).items():
            norms = ffn.layers[layer].down_rows()[list(indices)].float().norm(dim=1).tolist()
            own = [place[space.flat(layer, index)] for index in indices]
            weights = [float(classifier.weight[n]) * norm for n, norm in zip(own, norms, strict=True)]
            columns.append((layer, list(zip(own, indices, weights, strict=True))))
        with in_one_line(self.model):
            faults = engine.collective_rpc("hneuro_read", args=(space.n_layers, space.width, columns))
        for fault in filter(None, faults):
            raise UserError(f"--engine vllm cannot read the neurons of {self.model.source.locate()}: {fault}")


def _note(request: _Request, output: Any) -> None:
    """What vLLM has said so far, all of it, as far as the turn wants it."""
    turn, (said,) = request.turn, output.outputs
    request.finish = said.finish_reason or ""
    if turn.finish:
        return
    tokens = [int(token) for token in said.token_ids]
    wanted = tokens[: -1 if request.finish == "stop" else None][: turn.decoding.max_new_tokens]
    for token, at in list(zip(wanted, said.logprobs, strict=False))[len(turn.token_ids) :]:
        turn.token_ids.append(token)
        turn.logprobs.append(float(at[token].logprob))
        if turn.likeliest:
            best = sorted(at.items(), key=lambda one: -one[1].logprob)[: turn.likeliest]
            turn.likely.append([(int(other), float(known.logprob)) for other, known in best])
    if request.finish == "stop":
        turn.finish = "stop"
    elif request.finish or len(turn.token_ids) == turn.decoding.max_new_tokens:
        turn.finish = "length"
