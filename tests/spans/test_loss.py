"""What is lost, by reason and by kind."""

from __future__ import annotations

import pytest

from hneuro.pipeline.checks import check_spans
from hneuro.records import AnswerSpan, LabelledResponse, UserError
from hneuro.result_records import FunnelStep
from hneuro.spans.base import loss_step

Group = tuple[bool, str, int]  # hallucinated, reason of its loss, how many


def step(*groups: Group) -> FunnelStep:
    labelled, spans = [], []
    for hallucinated, reason, count in groups:
        for _ in range(count):
            key = f"q{len(labelled)}"
            labelled.append(LabelledResponse(question_id=key, group=key, sample=1, hallucinated=hallucinated))
            tokens = () if reason else (0,)
            spans.append(AnswerSpan(question_id=key, sample=1, tokens=tokens, text="", method="m", reason=reason))
    return loss_step(labelled, spans, "fit")


def test_every_loss_has_its_reason_and_its_kind() -> None:
    found = step((True, "", 90), (True, "no letter", 3), (False, "", 95), (False, "no letter", 1), (False, "cut", 2))
    assert (found.stage, found.dataset, found.unit) == ("spans", "fit", "responses")
    assert (found.entered, found.left) == (191, 185)
    assert found.lost == {"no letter (hallucinated)": 3, "no letter (faithful)": 1, "cut (faithful)": 2}
    assert found.note == ""


def test_a_loss_of_one_kind_is_said() -> None:
    """Apostrophes lost names, which are answers more often than not."""
    found = step((True, "", 300), (True, "cut", 2), (False, "", 280), (False, "cut", 20))
    assert found.note == (
        "faithful answers are lost more often than hallucinated ones: 20 of 300 against 2 of 302 "
        "(Fisher's exact test, p = 4.8e-05)"
    )
    assert step((True, "cut", 20), (True, "", 280), (False, "", 300)).note.startswith("hallucinated answers are lost")


@pytest.mark.parametrize("groups", [(), ((True, "", 5),), ((True, "cut", 5),), ((True, "cut", 1), (False, "cut", 1))])
def test_nothing_is_said_where_nothing_can_be(groups: tuple[Group, ...]) -> None:
    assert step(*groups).note == ""


def test_more_than_the_allowed_share_stops_the_run_in_one_line() -> None:
    found = step((True, "", 95), (True, "cut", 3), (False, "", 100), (False, "no letter", 2))
    with pytest.raises(UserError) as caught:
        check_spans(found, 0.01)
    assert str(caught.value) == (
        "fit: the answer was not located in 5 of 200 labelled responses (2.5%, max_span_loss is 1.0%): "
        "3 cut (hallucinated), 2 no letter (faithful); choose another span, or allow the loss with max_span_loss=0.03"
    )
    check_spans(found, 0.025)
    check_spans(found, 1)
    check_spans(step((True, "", 99), (True, "cut", 1)), 0.01)
    check_spans(step(), 0)
    with pytest.raises(UserError, match=r"max_span_loss=0.01"):
        check_spans(step((True, "", 999), (True, "cut", 1)), 0)
