"""What a selection learns from: measured answers, or how much every neuron does about facts that the model knows.

Effects are measured about facts of the fit part, and planted values come from there too: the sweep asks about facts of
the report part, and no question, entity or answer is in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.values import Values
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import NeuronSpace, Probe, ProbeRows
from hneuro.pipeline import checks, stored
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.measured import Answers
from hneuro.pipeline.run import Run
from hneuro.pipeline.sweeps import spoken
from hneuro.probe import attribution
from hneuro.probe.attribution import Attribution, each_auroc
from hneuro.probe.labeling import Labeling
from hneuro.probe.selectors import t_statistic
from hneuro.questions.splits import in_turn
from hneuro.records import BenchmarkItem, Fact, UserError
from hneuro.result_records import TellsAndDoes
from hneuro.stage import Rows, array, stage
from hneuro.store import Kept

ITEMS_PER_SHARD = 32
FEWEST = 2  # prompts


@dataclass(frozen=True, kw_only=True)
class Effects:
    """How much every neuron does [prompt, neuron] to first order, and what each prompt is about."""

    kept: Kept[NDArray[np.float32]]
    groups: tuple[str, ...]
    space: NeuronSpace

    @property
    def store_key(self) -> list[object]:
        return [self.kept.digest, self.groups]

    def training(self, _: Labeling) -> ProbeRows:
        """A row a prompt. None is an answer: y = 0."""
        y = np.zeros(len(self.groups), dtype=np.int8)
        return ProbeRows.of(self.kept.value, y, np.array(self.groups, dtype=np.str_), self.space)

    def mean(self) -> NDArray[np.float64]:
        """[neuron], in nats a token for each unit of alpha."""
        return np.asarray(self.kept.value.mean(axis=0, dtype=np.float64))


Learnt = Answers | Effects


def learnt(run: Run, identified: Identified) -> Learnt:
    """What the run's own selection is made from."""
    return measured(run, "fit", identified.fit_facts) if run.experiment.by_effect else identified.fit


def measured(run: Run, part: str, facts: Sequence[Fact]) -> Effects:
    """The effects about facts of one part; `UserError` where they are too few."""
    items, probe = prompts(run, part, facts), run.experiment.probe
    assert isinstance(probe, Attribution)
    if len(items) < FEWEST:
        raise UserError(
            f"probe=attribution: {len(items)} questions of the {part} part are answered rightly in every sample and "
            "have a wrong value to plant: sample more questions (dataset.limit), or choose another probe"
        )
    space = stored.neuron_space(run.store, run.chat)
    return Effects(
        kept=effects(run.store, run.chat, items, probe.token_budget, space.size),
        groups=tuple(str(item.meta["entity"]) for item in items),
        space=space,
    )


def prompts(run: Run, part: str, facts: Sequence[Fact]) -> tuple[BenchmarkItem, ...]:
    """As many as `probe.items` allows, of as many entities as there are; planted values are of the same part."""
    setup, probe = run.experiment, run.experiment.probe
    assert isinstance(probe, Attribution)
    values = Values.of(run.asked.parts[part])
    known = {fact.question.id: fact for fact in values.askable(facts)}
    turn = in_turn([fact.question for fact in known.values()], setup.seed)
    chosen = [known[question.id] for question in turn[: probe.items]]
    asked = checks.planting(run).asked(probe.framing, chosen, values, values, setup.model.prompting.suffix)
    return spoken(run, asked.items())


def tells_and_does(
    run: Run, identified: Identified, held_out: Sequence[Answers], probes: Sequence[Probe], chosen: Probe
) -> TellsAndDoes | None:
    """Where all neurons are, of a selection by effect; None where nothing is left to measure it on."""
    setup = run.experiment
    tested = next((one for one in held_out if one.name == setup.identification.name and one.two_sided), None)
    if not setup.by_effect or tested is None or len(prompts(run, "select", identified.facts)) < FEWEST:
        return None
    effects = measured(run, "select", identified.facts)
    return placed(run.store, effects, tested, identified.fit, probes, chosen).value[0]


@stage(TellsAndDoes, version=1, name="tells_and_does")
def placed(
    effects: Effects, tested: Answers, fit: Answers, probes: Sequence[Probe], chosen: Probe
) -> Sequence[TellsAndDoes]:
    order = np.argsort(-t_statistic(fit.rows()), kind="stable")
    sizes = len(tested.labelled), len(effects.groups)
    return [attribution.tells_and_does(each_auroc(tested.rows()), effects.mean(), order, probes, chosen, sizes)]


@array(version=1, name="gain_effects")
def effects(model: LanguageModel, items: Sequence[BenchmarkItem], token_budget: int, size: int) -> Rows:
    """[prompt, neuron]: `hneuro.causal.attribution.effects` of all `size` neurons."""

    def work(rows: slice) -> NDArray[np.float32]:
        from hneuro.causal.attribution import effects
        from hneuro.causal.sweep import contest_of

        contests = [(model.chat_ids(item.messages), contest_of(item, model.tokenizer)) for item in items[rows]]
        return effects(model.loaded, [(ids, contest) for ids, contest in contests if contest], token_budget)

    return Rows.of((len(items), size), ITEMS_PER_SHARD, work)
