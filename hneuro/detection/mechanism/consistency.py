"""How far several responses to one question agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hneuro.records import LabelledResponse, Response
from hneuro.verdicts.words import key, normal_words


def cluster_entropy(texts: Sequence[str]) -> float:
    """Entropy in nats over the clusters of texts with the same normalised words; 0 where all say the same.

    The discrete semantic entropy of Farquhar et al. (2024), with normalised equality in the place of entailment: for
    short answers, which are asked for. NaN for fewer than two texts.
    """
    if len(texts) < 2:
        return float("nan")
    sizes = np.array(list(Counter(key(normal_words(text)) for text in texts).values()), dtype=np.float64)
    shares = sizes / sizes.sum()
    return float(-(shares * np.log(shares)).sum()) + 0.0


def inconsistency(labelled: Sequence[LabelledResponse], responses: Sequence[Response]) -> NDArray[np.float64]:
    """`cluster_entropy` [row] of all responses to the question of each row; lost ones do not count."""
    texts: dict[str, list[str]] = {item.question_id: [] for item in labelled}
    for response in responses:
        if response.question_id in texts and not response.lost:
            texts[response.question_id].append(response.text)
    return np.array([cluster_entropy(texts[item.question_id]) for item in labelled])
