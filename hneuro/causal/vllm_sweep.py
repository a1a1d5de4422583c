"""The alpha sweep at serving speed: vLLM answers, while columns of its down projections are scaled.

Scaling z_j by alpha is scaling column j of W_down by alpha (paper, section 3.1), up to rounding. All rows of one
treatment are answered under one edit. Keys and values that were cached under other weights are stale, so the prefix
cache is reset after every change. The probability of complying is not read: vLLM gives those of a few tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from hneuro.causal.conversation import Reply, SweepRow, Turn, answered, opened, reply_of
from hneuro.models.edits import UNTOUCHED, Treatment, scaled
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import NeuronSpace
from hneuro.records import BenchmarkItem, Opening, SweepAnswer, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.noise import row_seed
from hneuro.responses.vllm import VllmSampler, generated, in_one_line, sampling_params

EXTENSION = "hneuro.causal.vllm_worker.ColumnEdits"
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
        with self._edited(self._engine(), UNTOUCHED):
            return opened(self.model, items, self.seed, self._replies)

    def answers(self, rows: Sequence[SweepRow], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        places: dict[Treatment, list[int]] = {}
        for n, (_, cell) in enumerate(rows):
            places.setdefault(cell.treatment, []).append(n)
        made: dict[int, SweepAnswer] = {}
        for treatment, chosen in places.items():
            with self._edited(self._engine(), treatment):
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
        return self.sampler.engine(self.model, EXTENSION, self._prove)

    @contextmanager
    def _edited(self, engine: Any, treatment: Treatment) -> Iterator[None]:
        """The engine under a treatment, and as it was behind it. An engine that something has gone wrong in is closed.

        Requests that were cut short stay in an engine, and the interrupt of a terminal ends its workers, too.
        """
        assert treatment.untouched or treatment.kind == "scale"
        try:
            if not treatment.untouched:
                self._edit(engine, treatment)
            yield
            if not treatment.untouched:
                self._called(engine, "hneuro_restore")
                _reset(engine)
        except BaseException:
            with suppress(Exception):  # the workers may be gone
                engine.collective_rpc("hneuro_restore")
            self.sampler.close()
            raise

    def _edit(self, engine: Any, treatment: Treatment) -> None:
        columns = list(self.space.by_layer(treatment.neurons).items())
        shape = self.space.n_layers, self.space.width
        edited = self._called(engine, "hneuro_edit", *shape, columns, treatment.alpha)
        assert sum(edited) == len(treatment.neurons), f"{edited} of {len(treatment.neurons)} columns were edited"
        _reset(engine)

    def _called(self, engine: Any, method: str, *args: Any) -> list[Any]:
        with in_one_line(self.model):
            found: list[Any] = engine.collective_rpc(method, args=args)
        return found

    def _prove(self, engine: Any) -> None:
        """Every layer can be edited, and the model that answers is the one that is edited."""
        where = self.model.source.locate()
        faults = self._called(engine, "hneuro_check", self.space.n_layers, self.space.width)
        for fault in filter(None, faults):
            raise UserError(
                f"intervention.engine=vllm cannot edit {where}, {fault}; choose intervention.engine=transformers"
            )
        step = -(-self.space.width // PROOF_NEURONS)
        before = self._proof(engine)
        with self._edited(engine, scaled(range(0, self.space.size, step), PROOF_ALPHA)):
            after = self._proof(engine)
        if before == after:
            raise UserError(
                f"vLLM answers the same with the neurons of {where} scaled: it computes with other weights than those "
                "that can be edited; try sampling.enforce_eager=true, or choose intervention.engine=transformers"
            )

    def _proof(self, engine: Any) -> list[tuple[int, float]]:
        """What it says to a prompt, with log-probabilities: a change shows before another token is chosen."""
        prompt = self.model.chat_ids([{"role": "user", "content": "Hello"}])
        (made,) = generated(engine, self.model, [prompt], [sampling_params(self.model, PROOF, None, logprobs=0)])
        output = made.outputs[0]
        return [(int(t), float(at[t].logprob)) for t, at in zip(output.token_ids, output.logprobs, strict=True)]


def _reset(engine: Any) -> None:
    if engine.reset_prefix_cache() is False:  # older versions say nothing
        raise UserError("vLLM did not reset its prefix cache, which is stale: set sampling.enable_prefix_caching=false")
