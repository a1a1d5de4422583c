"""How many answers were not located, why, and whether one kind of answers is lost more often than the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hneuro.records import AnswerSpan, LabelledResponse
from hneuro.result_records import FunnelStep
from hneuro.significance import unequal_shares

KINDS = {True: "hallucinated", False: "faithful"}
LEVEL = 0.05  # of the test that both kinds are lost equally often


def loss_step(labelled: Sequence[LabelledResponse], spans: Sequence[AnswerSpan], dataset: str) -> FunnelStep:
    """The funnel's step of spans in the order of `labelled`: losses by reason and kind, and a note if they differ."""
    pairs = list(zip(labelled, spans, strict=True))
    assert all((r.question_id, r.sample) == (s.question_id, s.sample) for r, s in pairs)
    lost = Counter(f"{s.reason} ({KINDS[r.hallucinated]})" for r, s in pairs if not s.tokens)
    return FunnelStep(
        stage="spans",
        dataset=dataset,
        unit="responses",
        entered=len(pairs),
        left=sum(bool(s.tokens) for s in spans),
        lost=dict(lost),
        note=_note(pairs),
    )


def _note(pairs: Sequence[tuple[LabelledResponse, AnswerSpan]]) -> str:
    asked = Counter(r.hallucinated for r, _ in pairs)
    lost = Counter(r.hallucinated for r, s in pairs if not s.tokens)
    p = unequal_shares((lost[True], lost[False]), (asked[True], asked[False]))
    if p >= LEVEL:
        return ""
    more = max(KINDS, key=lambda kind: lost[kind] / asked[kind])
    return (
        f"{KINDS[more]} answers are lost more often than {KINDS[not more]} ones: {lost[more]:,} of {asked[more]:,} "
        f"against {lost[not more]:,} of {asked[not more]:,} (Fisher's exact test, p = {p:.2g})"
    )
