from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hneuro.report.causal_verdicts import Control, change_word, changes, control_p
from hneuro.report.findings import headline
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import Word, discrimination, discrimination_word, drift_word, earned, holm
from hneuro.result_records import ResultRow


def area(value: float, half: float = 0.04, p: float | None = 1 / 21) -> ResultRow:
    return ResultRow(stage="detection", metric="auroc", dataset="people", condition="h_neurons", value=value,
                     low=value - half, high=value + half, n=300, p_value=p)  # fmt: skip


def change(value: float, half: float = 0.05) -> ResultRow:
    return ResultRow(stage="causal", metric="change_compliance", dataset="doubt", condition="h_neurons", value=value,
                     low=value - half, high=value + half, n=200)  # fmt: skip


RANDOM = area(0.65, half=0.02, p=None)
NAN = replace(area(np.nan), low=np.nan, high=np.nan)


@pytest.mark.parametrize(
    ("found", "random", "at_home", "word"),
    [
        (area(0.86), RANDOM, True, Word.DETECTS),
        (area(0.86), RANDOM, False, Word.TRANSFERS),
        (area(0.52), RANDOM, True, Word.NO_DETECTION),
        (area(0.52), RANDOM, False, Word.NO_TRANSFER),
        (area(0.30), RANDOM, False, Word.NO_TRANSFER),
        (area(0.68), RANDOM, True, Word.NOT_BETTER),  # the interval reaches the mean of the random sets
        (area(0.86, p=0.2), RANDOM, False, Word.NOT_BETTER),  # one random set in five is as good
        (area(0.86, p=0.2), replace(RANDOM, n=4), False, Word.TOO_FEW_SETS),  # none of four, and p cannot be smaller
        (area(0.86, p=0.4), replace(RANDOM, n=4), False, Word.NOT_BETTER),
        (area(0.86, p=None), None, True, Word.DETECTS),
        (NAN, RANDOM, True, Word.UNMEASURED),
    ],
)
def test_discrimination_word(found: ResultRow, random: ResultRow | None, at_home: bool, word: Word) -> None:
    assert discrimination_word(found, random, at_home) is word


@pytest.mark.parametrize(
    ("within", "word", "failed"),
    [
        ({"logprob": area(0.6), "frequency": None, "known": area(0.7)}, Word.DETECTS, ()),
        ({"logprob": area(0.53), "frequency": None, "known": area(0.7)}, Word.NOT_WITHIN, ("logprob",)),
        ({"logprob": area(0.2), "frequency": area(0.9), "known": area(0.5)}, Word.NOT_WITHIN, ("logprob", "known")),
        ({"logprob": NAN, "frequency": None, "known": None}, Word.NOTHING_HELD, ()),
    ],
)
def test_detects_is_earned_with_everything_held_fixed_that_can_be(
    within: dict[str, ResultRow | None], word: Word, failed: tuple[str, ...]
) -> None:
    assert earned(Word.DETECTS, within) == (word, failed)


def test_what_nothing_is_left_of_with_something_held_fixed_is_said_in_plain_words(results) -> None:
    rows = tuple(
        replace(r, value=0.51, low=0.45, high=0.57)
        if (r.metric, r.dataset) == ("auroc_within_logprob", "people")
        else r
        for r in results.rows
    )
    tidy = Tidy(replace(results, rows=rows))
    found = {v.dataset: v for v in discrimination(tidy, "detection")}
    said = "above chance and random sets, but not within strata of equal log-probability"
    assert found["people"].says == said
    assert found["drugs"].word is Word.TRANSFERS
    assert f"[{said}] people: AUROC 0.86" in headline(tidy.results)


@pytest.mark.parametrize(
    ("value", "p", "controls", "word"),
    [
        (0.20, 0.001, (0.0, 0.04, -0.02), Word.EFFECT),
        (-0.20, 0.001, (0.0, 0.04, -0.02), Word.EFFECT),
        (0.20, 0.001, (-0.4, -0.3), Word.EFFECT),  # controls that move the other way do not explain a rise
        (0.20, 0.001, (0.0, 0.20), Word.UNSPECIFIC),
        (-0.20, 0.001, (0.0, -0.25), Word.UNSPECIFIC),
        (0.20, 0.001, (), Word.UNCONTROLLED),
        (0.20, 0.01, (0.0,), Word.NOT_CORRECTED),  # p must be below 0.01
        (0.04, 0.001, (0.0,), Word.NO_EFFECT),  # the interval holds 0
        (0.20, None, (0.0,), Word.UNMEASURED),
        (np.nan, 0.001, (0.0,), Word.UNMEASURED),
    ],
)
def test_change_word(value: float, p: float | None, controls: tuple[float, ...], word: Word) -> None:
    assert change_word(change(value), p, kinds(value, random=controls)) is word


def kinds(value: float, **found: tuple[float, ...]) -> list[Control]:
    return [
        Control(kind=kind, change=value, changes=changes, p_slope=None) for kind, changes in found.items() if changes
    ]


@pytest.mark.parametrize("strong", ["", "random", "layer_matched", "contribution_matched"])
def test_no_kind_of_control_may_do_as_much(strong: str) -> None:
    controls = {kind: (0.3 if kind == strong else 0.1,) for kind in ("random", "layer_matched", "contribution_matched")}
    word = change_word(change(0.2), 0.001, kinds(0.2, **controls))
    assert word is (Word.UNSPECIFIC if strong else Word.EFFECT)


@pytest.mark.parametrize(
    ("sets", "p_slope", "as_much"),
    [
        (40, 2 / 41, False),
        (40, 4 / 41, True),
        (20, 2 / 21, False),
        (5, 2 / 6, False),
        (5, 4 / 6, True),
        (5, np.nan, False),
    ],
)
def test_few_sets_must_all_be_less_steep(sets: int, p_slope: float, as_much: bool) -> None:
    control = Control(kind="random", change=0.2, changes=(0.0,) * sets, p_slope=p_slope)
    assert control.as_much is as_much


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.1, 0.3, Word.EFFECT), (-0.01, 0.3, Word.UNREAD), (0.0, 0.3, Word.UNREAD), (-0.3, -0.1, Word.EFFECT)],
)
def test_an_effect_keeps_its_sign_whatever_the_unread_say(low: float, high: float, word: Word) -> None:
    value = (low + high) / 2
    controls = kinds(value, random=(0.0,) * 5)
    assert change_word(change(value), 0.001, controls, (change(low), change(high))) is word
    uncorrected = Word.UNREAD if word is Word.UNREAD else Word.NOT_CORRECTED
    assert change_word(change(value), 0.02, controls, (change(low), change(high))) is uncorrected


def test_control_p_is_two_sided() -> None:
    assert control_p(0.2, (0.0, 0.3, -0.5)) == 1.0
    assert control_p(0.2, (0.0, 0.1, -0.5)) == 2 / 4
    assert control_p(0.2, (0.3, 0.4, 0.5)) == 2 / 4  # and yet they do as much
    assert Control(kind="random", change=0.2, changes=(0.3, 0.4, 0.5), p_slope=None).as_much
    assert control_p(0.2, ()) is None
    assert control_p(np.nan, (0.1,)) is None


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("p", "word"),
    [
        (0.001, Word.CHANGED_LESS),
        (0.007, Word.NO_DIFFERENCE),  # two-sided it is 0.014
        (0.17, Word.NO_DIFFERENCE),
        (0.999, Word.CHANGED_MORE),
        (None, Word.UNMEASURED),
    ],
)
def test_drift_word(p: float | None, word: Word) -> None:
    assert drift_word(area(0.6, p=p)) is word


def test_verdicts_of_a_run(results) -> None:
    tidy = Tidy(results)
    assert {v.dataset: v.word for v in discrimination(tidy, "detection")} == {
        "people": Word.DETECTS,
        "drugs": Word.TRANSFERS,
        "fabricated_people": Word.NOT_MEASURABLE,
        "fabricated_drugs": Word.NO_TRANSFER,
    }
    found = {c.benchmark: c for c in changes(tidy, "h_neurons", "compliance")}
    assert {name: c.word for name, c in found.items()} == {
        "false_premise": Word.EFFECT,
        "misleading_context": Word.NO_EFFECT,
        "doubt": Word.UNSPECIFIC,
        "forbidden": Word.EFFECT,
    }
    assert len(found["doubt"].controls) == 20
    assert found["false_premise"].p_controls == pytest.approx(2 / 21)
    # 27 changes: each benchmark by two readings, the known facts, and two arms of each. Five have a smaller p.
    assert (found["forbidden"].p_holm, found["forbidden"].tests) == (pytest.approx(22 * 4e-4), 27)
    people = discrimination(tidy, "detection")[0]
    assert (people.p_holm, people.tests) == (pytest.approx(3 / 201), 3)
