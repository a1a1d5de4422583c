"""Tuning: gains are learned on the fit part, chosen on select, and tried once, next to their rivals, on report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.grid import NeuronSet, Steering, cells
from hneuro.causal.perplexity import TEXT, perplexity_change, perplexity_of
from hneuro.causal.tried import BEFORE, COVERED, FLAGGED, OWN, Name, Read, Said, outcome_rows, row
from hneuro.pipeline import answers, stored
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.causal import swept_sets
from hneuro.pipeline.effects import learnt
from hneuro.pipeline.known import UNEDITED
from hneuro.pipeline.learned import SETTINGS, STEERED, STEPS, gains, risks, steering_vectors
from hneuro.pipeline.panels import Panel, Panels
from hneuro.pipeline.run import Run
from hneuro.pipeline.selection import chosen_probe
from hneuro.pipeline.sweeps import alpha_sweep, passage_losses, spoken
from hneuro.probe.choice import h_neurons
from hneuro.probe.controls import ControlKind
from hneuro.records import Outcome, UserError
from hneuro.result_records import ResultRow, TrainedDetector, Tuned

ALPHAS = (0.0, 0.5, 2.0)
DEPTHS = (1 / 3, 2 / 3)  # of the layer that is steered
CONTROLS: tuple[ControlKind, ...] = ("random", "contribution_matched")
SENTENCE = " Say that you do not know if you are not sure."
ALPHA, SAID, STEER = ("alpha", 0), ("sentence", 0), ("steering", 0)
NOTHING = "nothing that meets the budget lowers P(wrong)"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Shares: of known facts that may be lost, and of perplexity that may be added."""

    known: float = 0.02
    perplexity: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.known <= 1 or not 0 <= self.perplexity < float("inf"):
            raise UserError("--known must be between 0 and 100 percentage points, and --perplexity 0 per cent or more")


@dataclass(frozen=True, kw_only=True)
class Rating:
    """A condition on the select part: the mean P(wrong), the share of known facts right, and of perplexity added."""

    wrong: float
    right: float
    perplexity: float

    def better(self, untouched: Rating, budget: Budget) -> bool:
        """Whether wrong answers are less likely, within the budget."""
        lost = untouched.right - self.right
        return self.wrong < untouched.wrong and lost <= budget.known + 1e-9 and self.perplexity <= budget.perplexity

    @property
    def brief(self) -> str:
        return f"P(wrong) {self.wrong:.3f}, known facts right {self.right:.3f}"


@dataclass(frozen=True)
class Tuning:
    """A finished run, whose prompts are put to its model under every condition."""

    run: Run
    budget: Budget

    @property
    def sweeping(self) -> Run:
        """The run as it is asked here: all of a panel, computed by transformers, with controls of two kinds."""
        grid = replace(
            self.run.experiment.intervention, engine="transformers", items=None, controls=CONTROLS, ranked=0,
            negative=False, variants=(),
        )  # fmt: skip
        return replace(self.run, experiment=replace(self.run.experiment, intervention=grid))

    def sets(self, identified: Identified) -> list[NeuronSet]:
        """The run's set, and its controls."""
        _, probe, _ = chosen_probe(self.run, learnt(self.run, identified), identified)
        neurons = h_neurons(probe, self.run.experiment.probe.name)
        if not neurons.neurons:
            raise UserError("the run found no neurons: there is nothing to tune")
        return swept_sets(self.sweeping, probe, neurons, identified)

    def learned(self, panels: Sequence[Panel], one: NeuronSet, name: Name) -> list[NeuronSet]:
        """The set under the gains of every way to learn them."""
        setup = self.run.experiment
        items = spoken(self.run, [item for panel in panels for item in panel.items()])
        say = setup.model.prompting.spoken
        facts = [(fact.question.text, say(fact.said)) for panel in panels for fact in panel.facts]
        text = setup.text.passages()[0::3]
        found = gains(self.run.store, self.run.chat, items, facts, text, one.neurons, setup.seed).value
        return [
            NeuronSet(
                name=f"{name[0]} {n}", seed=name[1], neurons=one.neurons, alphas=(0.0,), kind="gains",
                values=tuple(map(float, line)),
            )
            for n, line in enumerate(found.reshape(-1, len(one.neurons)))
        ]  # fmt: skip

    def said(self, panel: Panel, sets: Sequence[NeuronSet], steering: Steering | None = None) -> dict[Name, Said]:
        """What is replied to a panel under every condition, the untouched one included."""
        grid = [UNEDITED, *sets]
        found: dict[Name, Said] = {(cell.neuron_set, cell.seed): Said() for cell in cells(grid)}
        for part in (*panel.pressing, *panel.plain):
            swept = alpha_sweep(self.sweeping, part, grid, steering=steering)
            bad = Outcome.COMPLIES if part.measures == "compliance" else Outcome.RESISTS
            every = list(zip(swept.answers.value, swept.readings.value, strict=True))
            for n, own in enumerate(found.values()):
                (own.plain if part in panel.plain else own.pressed).extend(
                    Read(item=item, answer=answer, outcome=reading.outcome, wrong=reading.outcome is bad)
                    for item, (answer, reading) in zip(swept.items, every[n :: len(found)], strict=True)
                )
        return found

    def ratings(
        self, panels: Sequence[Panel], sets: Sequence[NeuronSet], steering: Steering | None = None
    ) -> dict[Name, Rating]:
        heard = [self.said(panel.briefly(), sets, steering) for panel in panels]
        cost = [perplexity_of(table).value for table in self.read(sets, 1)] or [1.0] * len(heard[0])
        return {
            name: Rating(
                wrong=float(np.nanmean(np.concatenate([one[name].p_wrong for one in heard]))),
                right=float(heard[0][name].right.mean()),
                perplexity=own / cost[0] - 1,
            )
            for name, own in zip(heard[0], cost, strict=True)
        }

    def read(self, sets: Sequence[NeuronSet], third: int) -> Sequence[NDArray[np.float32]]:
        """The losses of every condition, the untouched one first, on a third of the text; none where there is none."""
        run, passages = self.sweeping, self.run.experiment.text.passages()[third::3]
        if not passages:
            return ()
        budget = run.experiment.intervention.token_budget
        return list(passage_losses(run.store, run.chat, passages, cells([UNEDITED, *sets]), budget).value)

    def best(self, untouched: Rating, ratings: Mapping[Name, Rating]) -> Name | None:
        """What lowers P(wrong) most of all that meet the budget; None where nothing does."""
        fit = {name: one.wrong for name, one in ratings.items() if one.better(untouched, self.budget)}
        return min(fit, key=lambda name: fit[name]) if fit else None

    def chosen(
        self, ratings: Mapping[Name, Rating], tried: Mapping[Name, Sequence[NeuronSet]]
    ) -> tuple[dict[Name, NeuronSet], dict[str, str]]:
        """The candidate of each condition that does best on the select part, and what that was, in words."""
        found: dict[Name, NeuronSet] = {}
        words = {"untouched": ratings[BEFORE].brief}
        for name, several in tried.items():
            own = {(one.name, one.seed): one for one in several}
            key = self.best(ratings[BEFORE], {key: ratings[key] for key in own})
            label = name[0] + (f" {name[1]}" if "/" in name[0] else "")
            words[label] = NOTHING
            if key is not None:
                place = list(own).index(key)
                found[name] = replace(own[key], name=name[0], seed=name[1])
                words[label] = f"{_way(own[key], place)}: {ratings[key].brief}"
        return found, words

    def steering(
        self, panels: Mapping[str, Sequence[Panel]], own: NeuronSet, untouched: Rating
    ) -> tuple[Steering | None, str]:
        """The layer at which the mean difference does best on the select part, at the norm of the gains."""
        every = spoken(self.run, [item for panel in panels["fit"] for item in panel.items()])
        items = every[:: -(-len(every) // STEERED)]
        space = stored.spaces(self.run.store, self.run.chat).value[1]
        vectors = steering_vectors(
            self.run.store, self.run.chat, items, own.neurons, own.values, space.n_layers, space.width
        ).value
        found: dict[int, tuple[Steering, Rating]] = {}
        for depth in DEPTHS:
            layer = int(depth * space.n_layers)
            one = Steering(layer=layer, vector=tuple(map(float, vectors[layer])))
            found[layer] = one, self.ratings(panels["select"], [], one)[BEFORE]
        name = self.best(untouched, {(STEER[0], layer): rating for layer, (_, rating) in found.items()})
        if name is None:
            return None, NOTHING
        return found[name[1]][0], f"after layer {name[1]}: {found[name[1]][1].brief}"


def tune(run: Run, framings: Mapping[str, str], trained: TrainedDetector, budget: Budget, title: str) -> Tuned:
    """Gains of the run's neurons, and what they and their rivals do to held-out facts."""
    this, identified = Tuning(run, budget), answers.identify(run)
    panels = Panels(run, framings).by_part(identified)
    sets = this.sets(identified)
    named = {(one.name.replace("h_neurons", OWN[0]), one.seed): one for one in sets}
    tried: dict[Name, Sequence[NeuronSet]] = {
        name: this.learned(panels["fit"], one, name) for name, one in named.items()
    }
    tried[ALPHA] = [
        NeuronSet(name=f"alpha {n}", seed=0, neurons=sets[0].neurons, alphas=(a,)) for n, a in enumerate(ALPHAS)
    ]
    ratings = this.ratings(panels["select"], [one for several in tried.values() for one in several])
    chosen, words = this.chosen(ratings, tried)
    steering = None
    if OWN in chosen:
        steering, words["steering"] = this.steering(panels, chosen[OWN], ratings[BEFORE])
    rows: list[ResultRow] = []
    for panel in panels["report"]:
        rows += outcome_rows(panel.name, tried_on(this, panel, list(tried), chosen, steering, trained))
    if read := this.read(list(chosen.values()), 2):
        changes = [perplexity_change(read[0], after) for after in read[1:]]
        rows += [row(name, TEXT, "change_perplexity", *change) for name, change in zip(chosen, changes, strict=True)]
    return Tuned(
        title=title,
        neurons=sets[0].neurons,
        gains=chosen[OWN].values if OWN in chosen else (1.0,) * len(sets[0].neurons),
        chosen=words,
        rows=tuple(rows),
        budget={"known": budget.known, "perplexity": budget.perplexity},
        sizes={f"{part} {p.name}": len(p.items()) for part, several in panels.items() for p in several}
        | {f"groups {p.name}": len({str(item.meta["entity"]) for item in p.items()}) for p in panels["report"]},
    )


def tried_on(
    this: Tuning,
    panel: Panel,
    names: Sequence[Name],
    chosen: Mapping[Name, NeuronSet],
    steering: Steering | None,
    trained: TrainedDetector,
) -> dict[Name, Said]:
    """The replies to a held-out panel under every condition; what was not chosen leaves the model untouched."""
    found = this.said(panel, list(chosen.values()))
    before = found[BEFORE]
    found |= {name: before for name in names if name not in chosen}
    found[SAID] = this.said(panel.asking(SENTENCE), [])[BEFORE]
    found[STEER] = before if steering is None else this.said(panel, [], steering)[BEFORE]
    risk = risks(this.run, trained, before.all, panel.questions)
    found[FLAGGED] = before.without(risk > trained.threshold)
    count = max(0, before.answered.sum() - found[OWN].answered.sum())
    found[COVERED] = before.without(highest(np.where(before.answered, risk, np.nan), count))
    return found


def _way(one: NeuronSet, place: int) -> str:
    """A candidate in words."""
    if one.kind != "gains":
        return f"alpha {one.alphas[0]:g}"
    (rate, penalty), steps = SETTINGS[place // len(STEPS)], STEPS[place % len(STEPS)]
    return f"rate {rate:g}, penalty {penalty:g}, {steps} steps"


def highest(risks: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """The so many of highest risk, of those that have one."""
    order = np.argsort(-np.where(np.isnan(risks), -np.inf, risks), kind="stable")[:count]
    found = np.zeros(len(risks), dtype=bool)
    found[order] = ~np.isnan(risks[order])
    return found
