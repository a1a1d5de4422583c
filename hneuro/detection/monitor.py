"""The detector at work while a model answers: the risk at the position that is being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hneuro.contributions.cett import EPSILON
from hneuro.detection.detector import Classifier
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded


@dataclass(frozen=True)
class RiskMonitor:
    """Reads CETT of the detector's neurons at the last position of every row; above its threshold is a risk.

    The detector was trained on answer tokens, or on the positions that predict them: `detector` should be one of the
    latter (contribution.position=predicting), because that is where an answer can still be changed.
    """

    detector: Classifier

    @property
    def reads(self) -> dict[str, Any]:
        """What the results under this monitor depend on."""
        of = self.detector
        return {"neurons": of.columns, "weights": of.weight.tolist(), "bias": of.bias, "threshold": of.threshold}

    @contextmanager
    def watch(self, loaded: Loaded, rows: int) -> Iterator[Callable[[], Tensor]]:
        """Watches the passes inside; the function gives, of the last one, whether each row is at risk [row]."""
        with self.read(loaded, rows) as log_odds:
            yield lambda: log_odds() > self.detector.threshold

    @contextmanager
    def read(self, loaded: Loaded, rows: int) -> Iterator[Callable[[], Tensor]]:
        """As `watch`, but the function gives the log-odds of a hallucination [row]."""
        by_layer = loaded.ffn.space.by_layer(self.detector.columns)
        weight = dict(zip(self.detector.columns, self.detector.weight.tolist(), strict=True))
        scores: dict[int, Tensor] = {}

        def note(layer: int, z: Tensor, h: Tensor) -> None:
            if layer not in by_layer:
                return
            places = torch.tensor(by_layer[layer], device=z.device)
            amounts = [weight[loaded.ffn.space.flat(layer, index)] for index in by_layer[layer]]
            size = torch.linalg.vector_norm(h[:, -1], dim=-1, dtype=torch.float32) + EPSILON
            found = z[:, -1, places].float().abs() / size[:, None]
            norms = loaded.column_norms[layer][places].float()
            scores[layer] = (found * norms) @ torch.tensor(amounts, device=z.device)

        def log_odds() -> Tensor:
            return sum((score.cpu() for score in scores.values()), torch.zeros(rows)) + self.detector.bias

        with observe(loaded.ffn, rows, note):
            yield log_odds
