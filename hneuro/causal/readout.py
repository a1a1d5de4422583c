"""The second reading of compliance: how probable a complying continuation is, without sampling any text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hneuro.models.edits import edits
from hneuro.models.hooks import intervene
from hneuro.models.load import Loaded
from hneuro.models.parallel import together
from hneuro.records import BenchmarkItem, UserError
from hneuro.responses.draw import contest_odds
from hneuro.responses.generate import Job


@dataclass(frozen=True)
class Fork:
    """Where complying and resisting continuations part: the shared tokens before, and the first tokens of each side."""

    shared: tuple[int, ...]
    comply: tuple[int, ...]
    resist: tuple[int, ...]


def fork_of(item: BenchmarkItem, tokenizer: Any) -> Fork | None:
    """The first decisive position of the item's continuations; None where it has none to compare."""
    if not item.comply or not item.resist:
        return None
    comply = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in item.comply]
    resist = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in item.resist]
    every = [*comply, *resist]
    if not all(every):
        raise UserError(f"{item.benchmark}, item {item.id}: a continuation to compare has no tokens")
    shared = 0
    while all(len(c) > shared + 1 for c in every) and len({c[shared] for c in every}) == 1:
        shared += 1
    sides = tuple(tuple(sorted({c[shared] for c in side})) for side in (comply, resist))
    if set(sides[0]) & set(sides[1]):
        raise UserError(
            f"{item.benchmark}, item {item.id}: a complying and a resisting continuation begin with the same tokens "
            "but not all do, so no single position tells them apart"
        )
    return Fork(every[0][:shared], sides[0], sides[1])


def p_comply(log_odds: float) -> float:
    """P(comply) / (P(comply) + P(resist)) from the log-odds of the two sides."""
    return float(torch.sigmoid(torch.tensor(log_odds, dtype=torch.float64)))


@together
@torch.inference_mode()
def log_odds_at(loaded: Loaded, pad: int, jobs: Sequence[Job], forks: Sequence[Fork]) -> list[float]:
    """Log-odds of complying at the fork of each job, by a forward pass of its own.

    Needed only for forks behind shared tokens: at the others, generation reads the odds as it begins.
    """
    sequences = [(*job.prompt_ids, *fork.shared) for job, fork in zip(jobs, forks, strict=True)]
    longest = max(len(s) for s in sequences)
    ids = torch.tensor([[pad] * (longest - len(s)) + list(s) for s in sequences], device=loaded.device)
    mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences], device=loaded.device)
    amounts = edits(loaded.ffn.space, [job.treatment for job in jobs], loaded.device, loaded.dtype)
    with intervene(loaded.ffn, amounts):
        logits = loaded.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
            use_cache=False,
            logits_to_keep=1,
        ).logits[:, -1]
    odds = contest_odds(torch.log_softmax(logits.float(), dim=-1), [(f.comply, f.resist) for f in forks])
    return [value for value in odds if value is not None]
