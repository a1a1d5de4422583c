"""The alpha sweep by vLLM, while the inputs of its down projections are scaled in its workers.

All rows of one treatment are answered together. Keys and values that were cached under another treatment are stale, so
the prefix cache is reset after every change. The probability of complying is not read: vLLM gives a few tokens' alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hneuro.causal.conversation import Reply, SweepRow, Turn, answered, opened, reply_of
from hneuro.models.edits import UNTOUCHED, Treatment, scaled
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import NeuronSpace
from hneuro.records import BenchmarkItem, Opening, SweepAnswer, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.draw import row_seed
from hneuro.responses.vllm import VllmSampler, generated, in_one_line, sampling_params

EXTENSION = "hneuro.causal.vllm_worker.NeuronScale"
PROOF_NEURONS, PROOF_ALPHA = 64, 8.0  # in every layer; far more than any model bears
PROOF = Decoding(temperature=0.0, max_new_tokens=4)


@dataclass(frozen=True)
class VllmSweep:
    """Rows are answered treatment by treatment. The engine starts with the first of them, in the place of the model."""

    model: LanguageModel
    sampler: VllmSampler  # how the engine is set up
    decoding: Decoding
    space: NeuronSpace
    seed: int = 0

    def openings(self, items: Sequence[BenchmarkItem]) -> tuple[Opening, ...]:
        with self._treated(self._engine(), UNTOUCHED):
            return opened(self.model, items, self.seed, self._replies)

    def answers(self, rows: Sequence[SweepRow], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        places: dict[Treatment, list[int]] = {}
        for n, (_, cell) in enumerate(rows):
            places.setdefault(cell.treatment, []).append(n)
        made: dict[int, SweepAnswer] = {}
        for treatment, chosen in places.items():
            with self._treated(self._engine(), treatment):
                said = answered(self.model, [rows[n] for n in chosen], openings, self.seed, self._replies)
            made.update(zip(chosen, said, strict=True))
        return tuple(made[n] for n in range(len(rows)))

    def _replies(self, turns: Sequence[Turn]) -> list[Reply]:
        seeds = [row_seed(turn.seed) % (1 << 62) if self.sampler.seeded else None for turn in turns]
        wanted = [sampling_params(self.model, self.decoding, seed) for seed in seeds]
        made = generated(self._engine(), self.model, [turn.prompt_ids for turn in turns], wanted)
        outputs = [request.outputs[0] for request in made]
        return [
            reply_of(self.model, turn.prompt_ids, [int(token) for token in o.token_ids], o.finish_reason == "length")
            for turn, o in zip(turns, outputs, strict=True)
        ]

    def _engine(self) -> Any:
        self.model.release()
        uncompiled = replace(self.sampler, enforce_eager=True)
        return uncompiled.engine(self.model, EXTENSION, self._prove)

    @contextmanager
    def _treated(self, engine: Any, treatment: Treatment) -> Iterator[None]:
        """The engine under a treatment, and untouched afterwards. An engine that something has gone wrong in is closed.

        Requests that were cut short stay in an engine, and the interrupt of a terminal ends its workers, too.
        """
        assert treatment.untouched or treatment.kind == "scale"
        try:
            if not treatment.untouched:
                self._scale(engine, treatment)
            yield
            if not treatment.untouched:
                self._scale(engine, UNTOUCHED)
        except BaseException:
            self.sampler.close()
            raise

    def _scale(self, engine: Any, treatment: Treatment) -> None:
        columns = list(self.space.by_layer(treatment.neurons).items())
        reached = self._called(engine, "hneuro_scale", self.space.width, columns, treatment.alpha)
        assert sum(reached) == len(treatment.neurons), f"{reached} of {len(treatment.neurons)} neurons were reached"
        if engine.reset_prefix_cache() is False:  # older versions say nothing
            raise UserError(
                "vLLM did not reset its prefix cache, which is stale: set sampling.enable_prefix_caching=false"
            )

    def _called(self, engine: Any, method: str, *args: Any) -> list[Any]:
        with in_one_line(self.model):
            found: list[Any] = engine.collective_rpc(method, args=args)
        return found

    def _prove(self, engine: Any) -> None:
        """Every layer is reached, and scaling its neurons changes what the model says."""
        where = self.model.source.locate()
        faults = self._called(engine, "hneuro_reach", self.space.n_layers, self.space.width)
        for fault in filter(None, faults):
            raise UserError(
                f"intervention.engine=vllm cannot scale the neurons of {where}, {fault}; choose "
                "intervention.engine=transformers"
            )
        before = self._proof(engine)
        every = range(0, self.space.size, -(-self.space.width // PROOF_NEURONS))
        with self._treated(engine, scaled(every, PROOF_ALPHA)):
            after = self._proof(engine)
        if before == after:
            raise UserError(
                f"vLLM answers the same with the neurons of {where} scaled: it computes them elsewhere; choose "
                "intervention.engine=transformers"
            )
        if self._proof(engine) != before:
            raise UserError(f"vLLM does not answer as before once the neurons of {where} are no longer scaled")

    def _proof(self, engine: Any) -> list[tuple[int, float]]:
        """What it says to a prompt, with log-probabilities: a change shows before another token is chosen."""
        prompt = self.model.chat_ids([{"role": "user", "content": "Hello"}])
        (made,) = generated(engine, self.model, [prompt], [sampling_params(self.model, PROOF, None, logprobs=0)])
        output = made.outputs[0]
        return [(int(t), float(at[t].logprob)) for t, at in zip(output.token_ids, output.logprobs, strict=True)]
