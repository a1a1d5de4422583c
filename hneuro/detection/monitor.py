"""The detector at work while a model answers: the risk at the position that is being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
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
        layers, places, of_layer, weight = self._prepared(loaded)
        seen: dict[int, tuple[Tensor, Tensor]] = {}

        # A pass is short when it reads one token a row: a layer leaves two small tensors, and the sums come at the end.
        def note(layer: int, z: Tensor, h: Tensor) -> None:
            size = torch.linalg.vector_norm(h[:, -1], dim=-1, keepdim=True, dtype=torch.float32)
            seen[layer] = z[:, -1].index_select(1, places[layer]), size

        def log_odds() -> Tensor:
            if not seen:
                return torch.full((rows,), self.detector.bias)
            z = torch.cat([seen[layer][0].to(weight.device) for layer in layers], dim=1).float().abs()
            sizes = torch.cat([seen[layer][1].to(weight.device) for layer in layers], dim=1) + EPSILON
            return ((z / sizes.index_select(1, of_layer)) @ weight).cpu() + self.detector.bias

        with observe(loaded.ffn, rows, note, places.keys()):
            yield log_odds

    def _prepared(self, loaded: Loaded) -> tuple[list[int], dict[int, Tensor], Tensor, Tensor]:
        """The layers that are read, where in each [neuron of it], and of every neuron its layer and its weight, which
        has the norm of its column in it.
        """
        if not (self._known and self._known[0] is loaded):
            by_layer = loaded.ffn.space.by_layer(self.detector.columns)
            amounts = dict(zip(self.detector.columns, self.detector.weight.tolist(), strict=True))
            norms, layers = loaded.column_norms, sorted(by_layer)
            places = {layer: torch.tensor(by_layer[layer], device=norms[layer].device) for layer in layers}
            weight = [
                amounts[loaded.ffn.space.flat(layer, index)] * float(norms[layer][index])
                for layer in layers
                for index in by_layer[layer]
            ]
            of_layer = [n for n, layer in enumerate(layers) for _ in by_layer[layer]]
            device = loaded.device
            tensors = torch.tensor(of_layer, device=device), torch.tensor(weight, device=device)
            self._known[:] = [loaded, (layers, places, *tensors)]
        found: tuple[list[int], dict[int, Tensor], Tensor, Tensor] = self._known[1]
        return found

    @cached_property
    def _known(self) -> list[Any]:
        """The model that was prepared for last, and what was prepared."""
        return []
