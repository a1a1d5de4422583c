"""What everyone has without looking inside: answer log-probability, entropy and length, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from hneuro.records import AnswerSpan, LabelledResponse, Response

BASELINES = ("logprob", "entropy", "length")


def baseline_features(
    labelled: Sequence[LabelledResponse],
    responses: Mapping[tuple[str, int], Response],
    spans: Mapping[tuple[str, int], AnswerSpan],
) -> NDArray[np.float64]:
    """[row, baseline]: mean log-probability and mean entropy of the answer tokens in nats, and their number.

    NaN where the engine that sampled the response gave none.
    """
    features = np.empty((len(labelled), len(BASELINES)))
    for row, item in enumerate(labelled):
        response, span = responses[item.question_id, item.sample], spans[item.question_id, item.sample]
        tokens = list(span.tokens)
        features[row] = (
            fmean([response.logprobs[n] for n in tokens]) if response.logprobs else np.nan,
            fmean([response.entropies[n] for n in tokens]) if response.entropies else np.nan,
            len(tokens),
        )
    return features
