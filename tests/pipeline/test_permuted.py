"""Selection and detection under permuted labels, on answers of which one neuron tells whether they are wrong."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hneuro.neurons import Contributions, NeuronSpace
from hneuro.pipeline.measured import Answers
from hneuro.pipeline.stability import METRICS, permutations
from hneuro.probe.choice import AccuracyPlusKnown, Choice, Sparsest
from hneuro.probe.labeling import OneVsOne
from hneuro.probe.selectors import L1
from hneuro.probe.stability import StabilitySettings
from hneuro.records import AnswerSpan, LabelledResponse, Response
from hneuro.store import Store

WIDTH, SIZES = 24, {"fit": 120, "select": 60, "report": 100}


def answers(part: str, signal: float) -> Answers:
    draw = np.random.default_rng(len(part))
    keys = tuple((f"{part}{n}", 0) for n in range(SIZES[part]))
    values = draw.random((len(keys), 1, WIDTH)).astype(np.float32)
    values[::2, 0, 0] += signal
    return Answers(
        name="people" if part == "report" else part,
        labelled=tuple(
            LabelledResponse(question_id=q, group=q, sample=0, hallucinated=n % 2 == 0)
            for n, (q, _) in enumerate(keys)
        ),
        questions={},
        drawn=frozenset(keys),
        responses={
            key: Response(
                question_id=key[0], sample=0, prompt_ids=(1,), token_ids=(2,), text="A", logprobs=(-1.0,),
                entropies=(0.5,),
            )
            for key in keys
        },
        spans={
            key: AnswerSpan(question_id=key[0], sample=0, tokens=(0,), text="A", method="short_answer") for key in keys
        },
        found=Contributions(
            values=values, keys=keys, regions=("answer",), space=NeuronSpace(n_layers=1, width=WIDTH)
        ),
        tested="answer",
        digest=f"{part} {signal}",
    )  # fmt: skip


@pytest.mark.parametrize("choice", [Sparsest(), AccuracyPlusKnown()], ids=lambda choice: choice.name)
@pytest.mark.parametrize("signal", [0.8, 0.0])
def test_a_signal_stands_out_of_permuted_labels_and_noise_does_not(
    tmp_path: Path, choice: Choice, signal: float
) -> None:
    setup = SimpleNamespace(
        labeling=OneVsOne(), probe=L1(C=(1.5, 3.0, 6.0)), choice=choice, seed=0,
        stability=StabilitySettings(permuted=20), identification=SimpleNamespace(name="people"),
    )  # fmt: skip
    run = SimpleNamespace(experiment=setup, store=Store(tmp_path))
    identified = SimpleNamespace(fit=answers("fit", signal), select=answers("select", signal))
    held_out = [answers("report", signal)]
    rows = permutations(run, identified, held_out, identified.fit)  # type: ignore[arg-type]
    own = {row.metric: row for row in rows if row.condition == "h_neurons"}
    null = {m: [r.value for r in rows if (r.metric, r.condition) == (m, "h_neurons/permuted")] for m in METRICS}
    assert {metric: len(values) for metric, values in null.items()} == dict.fromkeys(METRICS, 20)
    assert len(set(null["auroc"])) > 10
    assert np.mean(null["auroc"]) == pytest.approx(0.5, abs=0.06)
    if signal:
        assert own["auroc"].value > 0.9 > max(null["auroc"])
        assert own["auroc"].p_value == own["select_auroc"].p_value == 1 / 21
    else:
        assert (own["auroc"].p_value or 0) > 0.05
    assert permutations(run, identified, held_out, identified.fit) == rows  # type: ignore[arg-type]
    assert (len(run.store.tally.computed), len(run.store.tally.loaded)) == (1, 1)
    setup.stability = StabilitySettings()
    assert permutations(run, identified, held_out, identified.fit) == ()  # type: ignore[arg-type]
