"""Records of what a run found: what the last stages return, what tables, figures and the page are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hneuro.neurons import NeuronSpace
from hneuro.records import Origin, Verdict, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval and its count."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two judges agree on the distinct responses that both were asked about."""

    first: str
    second: str
    agree: Estimate  # share of equal verdicts, where both can say
    kappa: float | None  # Cohen's, of the same responses; None where only one verdict occurs
    unsaid: int  # responses of which at least one of them cannot say anything
    confusion: tuple[tuple[int, ...], ...]  # [first, second]: correct, wrong, refused, unjudged


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A response on which the judges disagree, for people to read."""

    dataset: str
    question_id: str
    question: str
    gold: tuple[str, ...]
    response: str
    count: int  # samples with this very text
    verdict: Verdict
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequentText:
    """What the model said this many times, over all questions, and what it was judged to be."""

    verdict: Verdict
    text: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    """What entered a step, what left it, and why the rest did not."""

    stage: str
    dataset: str
    unit: str  # "questions", "responses", ...
    entered: int
    left: int
    lost: Mapping[str, int] = field(default_factory=dict)  # reason -> count; sums to entered - left
    note: str = ""  # what a reader should beware of


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One number of the results, tidy: the only thing that tables and figures are made from."""

    # "detection", "calibration", "causal", "origin", and "moments": the origin at checkpoints before the base model
    stage: str
    metric: str  # "auroc", "accuracy", "compliance", "p_comply", "slope_compliance", ...
    dataset: str  # evaluation set or benchmark
    condition: str  # what was measured: "h_neurons", its controls "h_neurons/random", ..., or "logprob", ...
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    seed: int | None = None
    alpha: float | None = None
    p_value: float | None = None
    stratum: str = ""  # the part of the rows that it is about, "2 tokens", or the checkpoint; "" for all of them
    note: str = ""

    @classmethod
    def of(cls, estimate: Estimate, **fields: Any) -> ResultRow:
        """The row of an estimate; `fields` are the others."""
        return cls(value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPoint:
    """One strength of the selection path (a value of C, or the count of a ranking) and what it gave."""

    strength: float
    nonzero: int
    positive: int
    fit_accuracy: float
    accuracy: float  # on the select split, at the Youden threshold of the fit split
    auroc: float  # on the select split
    suppressed_accuracy: float | None  # on known questions while its H-Neurons are scaled by 0; None: not measured
    gap: float | None  # relative duality gap that proves the optimum; None: the selection proves nothing
    chosen: bool
    n: int = 0  # rows of the select split; 0: made by an older version, which knows no intervals either
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    auroc_low: float | None = None
    auroc_high: float | None = None

    def estimate(self, metric: str) -> Estimate:
        """Accuracy or AUROC with its interval, which is NaN where there is none."""
        low, high = getattr(self, f"{metric}_low"), getattr(self, f"{metric}_high")
        lowest, highest = (float("nan") if bound is None else bound for bound in (low, high))
        return Estimate(value=getattr(self, metric), low=lowest, high=highest, n=self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronRow:
    """One H-Neuron as the report shows it."""

    rank: int  # 1 = heaviest weight
    layer: int
    index: int  # in its layer, or in its expert
    weight: float
    auroc: float  # of this neuron's answer CETT alone, on the select split
    cett_wrong: float  # mean answer CETT over hallucinated rows of the fit split
    cett_right: float
    path: tuple[float, ...]  # its weight at each strength of the path, ascending
    frequency: float | None  # share of the resamples that select it at the chosen strength; None: not resampled
    partners: int  # neurons of the whole model that it correlates with
    cluster: int | None  # H-Neurons of one cluster correlate with each other, directly or in a chain; None: alone
    drift_rank: float | None  # 0 = changed most from base to chat, 1 = changed least
    expert: int | None = None  # of a mixture of experts
    base_weight: float | None = None  # in the probe that the base model's own answers gave; None: there is none

    @property
    def path_share(self) -> float:
        """Share of the path's strengths at which its weight is positive."""
        return sum(weight > 0 for weight in self.path) / len(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswer:
    """An answer of the fit split as the H-Neurons read it."""

    question: str
    said: str
    verdict: Verdict
    cett: tuple[float, ...]  # of the heaviest neurons, in the order of `Results.neurons`


@dataclass(frozen=True, slots=True, kw_only=True)
class Resample:
    """The neurons that one resample of the entities gives a positive weight at one strength, ascending."""

    draw: int
    strength: float
    neurons: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronFrequency:
    """How often resamples select a neuron."""

    layer: int
    index: int
    frequency: float  # share of the resamples, at the chosen strength
    highest: float  # the largest share at any strength up to the chosen one
    rank: int | None  # among the H-Neurons; None for a neuron that only resamples select
    expert: int | None = None  # of a mixture of experts


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What selections that differ in one thing have in common; of more than one pair, means over the pairs."""

    between: str  # "resamples", "strengths" or "labeling modes"
    first: str
    second: str
    sizes: tuple[float, float]  # neurons of each
    shared: float
    jaccard: float  # shared / neurons of either
    low: float  # smallest and largest Jaccard overlap of a pair
    high: float
    pairs: int
    p_value: float | None = None  # that as many neurons drawn at random share so many, where these could be


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How firmly the selection holds when its entities are drawn anew, and what it shares with other selections."""

    resamples: int
    neurons: tuple[NeuronFrequency, ...]  # H-Neurons, and whatever a resample selects; most frequent first
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Neurons that tell and do about as much: between two AUROCs, and between two effects."""

    tells: tuple[float, float]
    does: tuple[float, float]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellsAndDoes:
    """Every neuron by how well it tells a wrong answer from a right one, and by how much it does about a known fact.

    It tells by the AUROC of its CETT on held-out answers, and does by the effect of its gain about facts of the select
    part, to first order. Both sets were made on the fit part.
    """

    cells: tuple[Cell, ...]  # all neurons
    telling: tuple[tuple[float, float], ...]  # (AUROC, effect) of each of those that tell best by Welch's t
    doing: tuple[tuple[float, float], ...]  # of the selected ones
    overlaps: tuple[Overlap, ...]  # of both sets, at every size of the path
    rank_correlation: float  # Spearman, of |AUROC - 0.5| and |effect| over all neurons
    answers: int
    facts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Gains that were learned for the neurons of a run, and what held-out facts say of them and of their rivals."""

    title: str
    neurons: tuple[int, ...]  # flat
    gains: tuple[float, ...]  # all 1 where none met the budget
    chosen: Mapping[str, str]  # condition -> what was chosen on the select part, in words
    rows: tuple[ResultRow, ...]  # stage "tuning"
    budget: Mapping[str, float]  # shares: of known facts that may be lost, and of perplexity that may be added
    sizes: Mapping[str, int]  # prompts of each part, and groups of those that gains are tried on


@dataclass(frozen=True, slots=True, kw_only=True)
class ColouredResponse:
    """A response with the risk at each generated token, for people to read."""

    dataset: str
    question: str
    gold: tuple[str, ...]
    verdict: Verdict
    tokens: tuple[str, ...]  # concatenated they are the text
    risks: tuple[float, ...]  # P(hallucination) that the probe gives each token on its own, in [0, 1]
    in_answer: tuple[bool, ...]
    score: float  # P(hallucination) of the response, from the region that the detector reads


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedDetector:
    """The logistic regression on the H-Neurons, as `hneuro.detector` saves it."""

    neurons: tuple[int, ...]  # flat
    weights: tuple[float, ...]  # of CETT, in log-odds
    bias: float
    threshold: float  # in log-odds
    position: str  # where CETT is read: "token", "predicting", "last_prompt"
    checkpoint: str  # the identity of the model's weights
    trained: str  # on what, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The detector on labelled answers that it was not fitted on, none of which was balanced away.

    P(hallucination) of an answer is 1 / (1 + exp(-(slope * log-odds + offset))).
    """

    slope: float
    offset: float
    log_odds: tuple[float, ...]  # of each answer, by the detector
    hallucinated: tuple[bool, ...]
    dataset: str
    candidates: tuple[str, ...] = ()  # all answers that there are to its questions, if every question has the same
    method: str = ""  # of the span finder: answers that are found in another way are not covered; "": any


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that a run leaves for people. `report` reads nothing else."""

    title: str
    facts: Mapping[str, str]  # model, dataset, labeling, selection, ...: what was used, one line each
    rows: tuple[ResultRow, ...]
    funnel: tuple[FunnelStep, ...]
    path: tuple[PathPoint, ...]
    neurons: tuple[NeuronRow, ...]
    neurons_by_layer: tuple[int, ...]  # H-Neurons in each layer
    stability: Stability | None  # None where it was turned off
    responses: tuple[ColouredResponse, ...]
    data: Mapping[str, Origin] = field(default_factory=dict)  # by the name of the data set
    agreements: tuple[Agreement, ...] = ()  # of several judges
    disagreements: tuple[Disagreement, ...] = ()
    frequent: tuple[FrequentText, ...] = ()  # of what was not judged correct
    space: NeuronSpace | None = None  # of the chat model; None in results from before it was kept
    neuron_sets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # flat neurons: "h_neurons", "ranked"
    detector: TrainedDetector | None = None  # None in results from before it was kept
    fit_answers: tuple[ReadAnswer, ...] = ()  # some answers of either kind; empty in results from before they were kept
    calibration: Calibration | None = None  # None with too few answers, and in results from before it was kept
    tells_and_does: TellsAndDoes | None = None  # None but in a selection by effect
