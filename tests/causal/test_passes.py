"""Forward passes over whole texts: losses against those of transformers, activities against z read one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hneuro.causal.grid import NeuronSet, cells
from hneuro.causal.passes import activity, losses
from hneuro.causal.perplexity import TextFile, perplexity_rows
from hneuro.models.edits import edits
from hneuro.models.hooks import intervene, observe
from hneuro.models.language_model import LanguageModel
from hneuro.records import UserError

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


PASSAGES = ("Who wrote Hamlet?", "The answer is William Shakespeare, without any explanation.", "Hamlet")
SETS = [NeuronSet(name="h_neurons", seed=0, neurons=tuple(range(0, 192, 3)), alphas=(0.0, 1.0, 3.0))]


@pytest.mark.parametrize("token_budget", [1, 4096])
def test_losses_are_those_of_the_model_on_each_passage_alone(language_model: LanguageModel, token_budget: int) -> None:
    grid, loaded = cells(SETS), language_model.loaded
    found = losses(language_model, PASSAGES, grid, token_budget)
    for cell, table in zip(grid, found, strict=True):
        for passage, (total, count) in zip(PASSAGES, table, strict=True):
            ids = torch.tensor([language_model.tokenizer(passage)["input_ids"]])
            changes = edits(loaded.ffn.space, [cell.treatment], "cpu", torch.float32)
            with torch.inference_mode(), intervene(loaded.ffn, changes):
                loss = loaded.model(ids, labels=ids, use_cache=False).loss
            assert count == ids.shape[1] - 1
            assert total == pytest.approx(float(loss) * count, rel=1e-4)
    assert len({round(float(table.sum()), 3) for table in found}) == 3


def test_a_row_for_every_set_and_alpha() -> None:
    found = np.zeros((3, 4, 2), np.float32)
    found[..., 1] = 10
    found[..., 0] = 10 * np.log(np.array([[2.0], [3.0], [4.0]]))
    rows = perplexity_rows(cells(SETS), found, ["h_neurons", "ranked"])
    assert [(r.condition, r.alpha, round(r.value, 3), r.n) for r in rows] == [
        ("h_neurons", 1.0, 2.0, 4),
        ("ranked", 1.0, 2.0, 4),
        ("h_neurons", 0.0, 3.0, 4),
        ("h_neurons", 3.0, 4.0, 4),
    ]
    assert all(r.low is not None and r.low == pytest.approx(r.value) for r in rows)


def test_the_paragraphs_of_a_file(tmp_path: Path) -> None:
    text = "short\n\n" + "\n\n".join(f"{n} " + "word " * 50 for n in range(4))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    passages = TextFile(path=str(tmp_path / "text.txt"), count=3).passages()
    assert [passage[:1] for passage in passages] == ["0", "1", "2"]
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    for name, said in (("text.txt", "has no paragraph of 9999"), ("bad.txt", "UTF-8"), ("none.txt", "cannot be read")):
        with pytest.raises(UserError, match=said):
            TextFile(path=str(tmp_path / name), fewest=9999).check()
