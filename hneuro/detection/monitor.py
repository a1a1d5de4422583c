"""The detector at work while a model answers: the risk at the position that is being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hneuro.contributions.cett import EPSILON
from hneuro.detection.detector import Classifier
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.records import ASIDE


@dataclass
class RiskMonitor:
    """Reads CETT of the detector's neurons at the last position of every row."""

    detector: Classifier
    _columns: tuple[Loaded, _Columns] | None = field(default=None, init=False, repr=False, metadata=ASIDE)

    @contextmanager
    def read(self, loaded: Loaded, rows: int) -> Iterator[Callable[[], Tensor]]:
        """Reads the passes inside; the function gives what each neuron adds to the log-odds of a hallucination, of the
        last one [row, neuron]."""
        at = self._of(loaded)
        seen: dict[int, tuple[Tensor, Tensor]] = {}

        # A pass is short when it reads one token a row: a layer leaves two small tensors, and the sums come at the end.
        def note(layer: int, z: Tensor, h: Tensor) -> None:
            size = torch.linalg.vector_norm(h[:, -1], dim=-1, keepdim=True, dtype=torch.float32)
            seen[layer] = z[:, -1].index_select(1, at.places[layer]), size

        def added() -> Tensor:
            if not seen:
                return torch.zeros((rows, 0))
            z = torch.cat([seen[layer][0].to(at.weight.device) for layer in at.layers], dim=1).float().abs()
            sizes = torch.cat([seen[layer][1].to(at.weight.device) for layer in at.layers], dim=1) + EPSILON
            return (z / sizes.index_select(1, at.of_layer) * at.weight).cpu().index_select(1, at.order)

        with observe(loaded.ffn, rows, note, at.layers, last=True):
            yield added

    def _of(self, loaded: Loaded) -> _Columns:
        if self._columns is None or self._columns[0] is not loaded:
            self._columns = loaded, _Columns.of(self.detector, loaded)
        return self._columns[1]


@dataclass(frozen=True)
class _Columns:
    """Where the detector's neurons are in a model, prepared once: a step of one token leaves little time."""

    layers: tuple[int, ...]
    places: Mapping[int, Tensor]  # by layer: the neurons in it
    of_layer: Tensor  # [neuron]: which of `layers`
    weight: Tensor  # [neuron], with the norm of its column of W_down
    order: Tensor  # [neuron of the detector]: which of these it is

    @classmethod
    def of(cls, detector: Classifier, loaded: Loaded) -> _Columns:
        space, norms = loaded.ffn.space, loaded.column_norms
        by_layer = space.by_layer(detector.columns)
        amounts = dict(zip(detector.columns, detector.weight.tolist(), strict=True))
        layers = tuple(sorted(by_layer))
        order = [(n, layer, index) for n, layer in enumerate(layers) for index in by_layer[layer]]
        weight = [amounts[space.flat(layer, index)] * float(norms[layer][index]) for _, layer, index in order]
        place = {space.flat(layer, index): n for n, (_, layer, index) in enumerate(order)}
        return cls(
            layers=layers,
            places={layer: torch.tensor(by_layer[layer], device=norms[layer].device) for layer in layers},
            of_layer=torch.tensor([n for n, _, _ in order], device=loaded.device),
            weight=torch.tensor(weight, device=loaded.device),
            order=torch.tensor([place[column] for column in detector.columns], dtype=torch.long),
        )
