"""The second reading of compliance: how probable a complying continuation is, without sampling any text."""

from __future__ import annotations

import math
from typing import Any

from hneuro.records import BenchmarkItem, UserError
from hneuro.responses.contest import Contest


def contest_of(item: BenchmarkItem, tokenizer: Any) -> Contest | None:
    """The item's complying continuations against its resisting ones; None where it has none to compare."""
    if not item.comply or not item.resist:
        return None
    comply, resist = (
        tuple(dict.fromkeys(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in side))
        for side in (item.comply, item.resist)
    )
    if not all((*comply, *resist)):
        raise UserError(f"{item.benchmark}, item {item.id}: a continuation to compare has no tokens")
    for one in comply:
        for other in resist:
            shorter = min(len(one), len(other))
            if one[:shorter] == other[:shorter]:
                raise UserError(
                    f"{item.benchmark}, item {item.id}: a complying and a resisting continuation are the same, or one "
                    "begins with the other, so that nothing tells them apart"
                )
    return Contest(comply, resist)


def p_comply(log_odds: float) -> float:
    """P(comply) / (P(comply) + P(resist)) from the log-odds of the two sides."""
    return 1 / (1 + math.exp(-log_odds)) if log_odds > 0 else 1 - 1 / (1 + math.exp(log_odds))
