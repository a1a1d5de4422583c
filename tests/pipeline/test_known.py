"""Which facts and which framing the benchmarks about known facts are asked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from hneuro.causal.benchmarks.known import KnownBenchmark, KnownPrompts
from hneuro.causal.grid import SweepSettings
from hneuro.pipeline import known
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.checks import check_benchmarks
from hneuro.pipeline.known import benchmarks_of
from hneuro.pipeline.measured import Trail
from hneuro.records import Fact, Outcome, Question, Reading, UserError


def questions(part: str, count: int) -> tuple[Question, ...]:
    return tuple(
        Question(id=f"{part}/{n}", dataset="d", text=f"Where is {part} {n}?", answers=(f"place {part}{n}",), entity="")
        for n in range(count)
    )


PARTS = {name: questions(name, 20) for name in ("fit", "select", "report")}
FACTS = {name: tuple(Fact(question=q, said=q.answers[0]) for q in part) for name, part in PARTS.items()}
TEXTS = {name: f"{name} {{claim}}" for name in ("weak", "middle", "strong")}


class Untouched:
    """Stands in for the sweep: complies with a share of the prompts of each framing, and keeps what it was asked."""

    def __init__(self, rates: Mapping[str, float]) -> None:
        self.rates, self.asked = rates, list[KnownPrompts]()

    def __call__(self, run: Any, benchmark: KnownPrompts, sets: Sequence[Any]) -> Any:
        assert [(one.neurons, one.alphas) for one in sets] == [((), (1.0,))]
        self.asked.append(benchmark)
        items = benchmark.items()
        complying = round(self.rates[benchmark.framing] * len(items))
        outcomes = [Outcome.COMPLIES] * complying + [Outcome.UNPARSED] * (len(items) - complying)
        return SimpleNamespace(readings=SimpleNamespace(value=tuple(Reading(outcome=o) for o in outcomes)))


def asked(
    monkeypatch: pytest.MonkeyPatch,
    rates: Sequence[float],
    report: Sequence[Fact] = FACTS["report"],
    select: tuple[Fact, ...] = FACTS["select"],
    items: int | None = None,
) -> tuple[Any, list[Any], list[Any], Untouched]:
    untouched = Untouched(dict(zip(TEXTS, rates, strict=True)))
    monkeypatch.setattr(known, "alpha_sweep", untouched)
    monkeypatch.setattr(known.answers, "held_out_facts", lambda run: tuple(report))
    setup = SimpleNamespace(
        benchmarks={"context": KnownBenchmark(facet="misleading_context", framings=TEXTS)},
        intervention=SweepSettings(items=items, known_questions=7),
        model=SimpleNamespace(prompting=SimpleNamespace(suffix=" Briefly.")),
        judge=None,
        answer_tokens=4,
        seed=0,
    )
    run = SimpleNamespace(experiment=setup, asked=SimpleNamespace(parts=PARTS), chat=None)
    known_questions = tuple(f.question for f in select[:7])
    identified = Identified(None, None, select, (), known_questions, (0, 0), Trail())  # type: ignore[arg-type]
    benchmarks, rows, lost = benchmarks_of(run, identified)  # type: ignore[arg-type]
    return lost, benchmarks, list(rows), untouched


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ((0.0, 0.6, 1.0), "middle"),
        ((0.2, 0.1, 1.0), "weak"),
        ((0.0, 0.0, 0.9), "strong"),
        ((0.4, 0.6, 0.5), "strong"),
        ((0.4, 0.6, 0.9), "weak"),  # as near: the earlier one
        ((0.0, 1.0, 0.0), "weak"),
    ],
)
def test_the_framing_nearest_to_half_is_asked_of_the_report_part(
    monkeypatch: pytest.MonkeyPatch, rates: tuple[float, ...], chosen: str
) -> None:
    _, (benchmark, facts), rows, untouched = asked(monkeypatch, rates)
    assert (benchmark.name, benchmark.framing) == ("misleading_context", chosen)
    assert [item.id for item in benchmark.items()] == [q.id for q in PARTS["report"]]
    assert all(item.id.startswith("select/") for one in untouched.asked for item in one.items())
    assert sorted(one.name for one in untouched.asked) == sorted(f"misleading_context_{name}" for name in TEXTS)
    assert all(item.messages[0]["content"].endswith(" Briefly.") for item in benchmark.items())
    told = {row.condition: row for row in rows if row.metric == "compliance"}
    assert {name: row.value for name, row in told.items()} == dict(zip(TEXTS, rates, strict=True))
    assert {(row.stage, row.dataset, row.n, row.alpha) for row in rows} == {("framing", "misleading_context", 20, 1.0)}
    assert [name for name, row in told.items() if row.note.startswith("chosen")] == [chosen]
    assert list(facts.questions) == [q.id for q in PARTS["report"][:7]]


def test_only_as_many_facts_are_asked_as_the_sweep_has_items(monkeypatch: pytest.MonkeyPatch) -> None:
    lost, (benchmark, _), _, untouched = asked(monkeypatch, (0.5, 0.0, 0.0), items=6)
    again = asked(monkeypatch, (0.5, 0.0, 0.0), items=6)[1][0]
    ids = [item.id for item in benchmark.items()]
    assert len(ids) == 6
    assert ids == [item.id for item in again.items()]
    assert ids != [q.id for q in PARTS["report"][:6]]
    assert all(len(one.items()) == 6 for one in untouched.asked)
    step = lost[1]
    assert (step.dataset, step.entered, step.left, step.lost) == ("report", 20, 6, {"over intervention.items": 14})


def test_a_data_set_with_one_answer_alone_is_refused_before_work() -> None:
    same = tuple(Question(id=str(n), dataset="d", text="Who?", answers=("Ann",), entity="") for n in range(4))
    doubt = KnownBenchmark(facet="doubt", framings={"a": "Sure?"})
    setup = SimpleNamespace(benchmarks={"doubt": doubt}, by_effect=False)

    def about(parts: Mapping[str, Sequence[Question]]) -> Any:
        return SimpleNamespace(experiment=setup, asked=SimpleNamespace(parts=parts))

    check_benchmarks(about(PARTS))
    with pytest.raises(UserError, match=r"benchmark.doubt plants the answer of another question, and no question"):
        check_benchmarks(about({"fit": same[:2], "select": same[2:], "report": ()}))
