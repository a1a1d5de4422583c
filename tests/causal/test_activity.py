"""What neurons usually do, against z read one sequence at a time."""

from __future__ import annotations

import numpy as np
import torch

from hneuro.causal.passes import activity
from hneuro.models.hooks import observe
from hneuro.models.language_model import LanguageModel

SEQUENCES = ((1, 3, 40, 41, 42, 2, 4), (1, 3, 99, 2), (1, 3, *range(60, 80)))
POSITIONS = ((4, 5), (), (3, 10, 21))
NEURONS = (150, 3, 70)  # of three layers, in no order


def test_the_mean_is_over_the_chosen_positions(language_model: LanguageModel) -> None:
    loaded = language_model.loaded
    found: list[list[float]] = [[], [], []]
    for sequence, positions in zip(SEQUENCES, POSITIONS, strict=True):
        layers: dict[int, torch.Tensor] = {}
        with torch.inference_mode(), observe(loaded.ffn, 1, lambda layer, z, _, kept=layers: kept.update({layer: z})):
            loaded.model(torch.tensor([sequence]), use_cache=False)
        for n, neuron in enumerate(NEURONS):
            layer, index = loaded.ffn.space.locate(neuron)
            found[n] += layers[layer][0, list(positions), index].tolist()
    made = activity(loaded, SEQUENCES, POSITIONS, NEURONS, 40)
    np.testing.assert_allclose(made, [np.mean(values) for values in found], rtol=1e-4, atol=1e-6)
    assert len(set(map(len, found))) == 1
