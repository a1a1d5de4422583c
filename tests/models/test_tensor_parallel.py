"""Two processes that hold half of every layer each measure and steer as one process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from transformers import Phi3Config, Phi3ForCausalLM

from hneuro.contributions.extract import extract
from hneuro.models.load import load
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate

SEQUENCES = [[1, 9, 30, 12], [1, 40, 7, 7, 21, 33, 8, 19, 4], [1, 5]]
WEIGHTS = [np.full((1, len(s)), 1 / len(s), dtype=np.float32) for s in SEQUENCES]
NEURONS = (3, 60, 70, 100, 190)  # in the share of either process, of every layer


def measure(path: str, device_map: str | None, out: str) -> None:
    source = HubCheckpoint(path=path)
    spec = ModelSpec(name="tiny", chat=source, dtype="float32", device_map=device_map)
    loaded = load(source, spec)
    loaded.model.generation_config.eos_token_id = None
    jobs = [Job(tuple(s), seed="", neurons=NEURONS, alpha=a) for s, a in zip(SEQUENCES, (1.0, 3.0, 0.0), strict=True)]
    np.savez(
        out,
        values=extract(loaded, SEQUENCES, WEIGHTS, 100),
        tokens=[g.token_ids for g in generate(loaded, 0, jobs, Decoding(temperature=0, max_new_tokens=8))],
        rows=np.concatenate([p.up_rows().numpy() for p in loaded.ffn.layers]),
    )


def together(path: Path, folder: Path) -> list[dict[str, np.ndarray]]:
    """The results of one process, and of both processes of a pair."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command = [*torchrun, "--rdzv-endpoint", "127.0.0.1:0", __file__, str(path), str(folder)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run(command, check=True, env=quiet, timeout=120)
    measure(str(path), None, str(folder / "alone.npz"))
    return [dict(np.load(folder / f"{name}.npz")) for name in ("alone", "0", "1")]


def assert_equal(results: list[dict[str, np.ndarray]]) -> None:
    alone, *pair = results
    for one in pair:
        np.testing.assert_allclose(one["values"], alone["values"], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(one["tokens"], alone["tokens"])
        np.testing.assert_array_equal(one["rows"], alone["rows"])


def test_llama_in_two_halves(tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert_equal(together(tiny_checkpoint, tmp_path))


def test_a_fused_projection_whose_inputs_are_whole(tmp_path: Path) -> None:
    """Phi-3: every process sees all of z before the down projection takes its share."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = Phi3Config(vocab_size=64, initializer_range=0.25, pad_token_id=0, **sizes)
    Phi3ForCausalLM(config).save_pretrained(tmp_path / "phi")
    assert_equal(together(tmp_path / "phi", tmp_path))


if __name__ == "__main__":
    measure(sys.argv[1], "tensor_parallel", f"{sys.argv[2]}/{os.environ['RANK']}.npz")
