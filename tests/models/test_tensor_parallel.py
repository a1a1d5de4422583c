"""Two processes that hold half of every layer each measure and steer as one process does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import Phi3Config, Phi3ForCausalLM

from hneuro.contributions.extract import extract
from hneuro.models.edits import scaled
from hneuro.models.load import load
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate

SEQUENCES = [[1, 9, 30, 12], [1, 40, 7, 7, 21, 33, 8, 19, 4], [1, 5]]
WEIGHTS = [np.full((1, len(s)), 1 / len(s), dtype=np.float32) for s in SEQUENCES]
LAYOUTS = ("llama", "phi")
NEURONS = (3, 60, 70, 100, 190)  # in the share of either process, of every layer


def measure(path: str, device_map: str | None, out: str) -> None:
    source = HubCheckpoint(path=path)
    spec = ModelSpec(name="tiny", chat=source, dtype="float32", device_map=device_map)
    loaded = load(source, spec)
    loaded.model.generation_config.eos_token_id = None
    jobs = [Job(tuple(s), "", scaled(NEURONS, a)) for s, a in zip(SEQUENCES, (1.0, 3.0, 0.0), strict=True)]
    np.savez(
        out,
        values=extract(loaded, SEQUENCES, WEIGHTS, 100),
        tokens=[g.token_ids for g in generate(loaded, 0, jobs, Decoding(temperature=0, max_new_tokens=8))],
        rows=np.concatenate([p.up_rows().numpy() for p in loaded.ffn.layers]),
    )


@pytest.fixture(scope="module")
def folder(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process, and of both processes of a pair, for a Llama and for a Phi-3."""
    made = tmp_path_factory.mktemp("results")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = Phi3Config(vocab_size=64, initializer_range=0.25, pad_token_id=0, **sizes)
    Phi3ForCausalLM(config).save_pretrained(made / "phi")
    (made / "llama").symlink_to(tiny_checkpoint)
    run_pair([sys.executable, __file__, str(made)])
    for name in LAYOUTS:
        measure(str(made / name), None, str(made / f"{name}-alone.npz"))
    return made


def run_pair(command: list[str]) -> None:
    """Two processes as torchrun starts them, without its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    pair = [
        subprocess.Popen(command, env=os.environ | place | {"RANK": str(n), "LOCAL_RANK": str(n)}) for n in range(2)
    ]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_pair_measures_and_generates_as_one_process_does(folder: Path, name: str) -> None:
    """In Llama a process sees its share of z, in Phi-3 all of it before the down projection takes its share."""
    alone = np.load(folder / f"{name}-alone.npz")
    for rank in range(2):
        one = np.load(folder / f"{name}-{rank}.npz")
        np.testing.assert_allclose(one["values"], alone["values"], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(one["tokens"], alone["tokens"])
        np.testing.assert_array_equal(one["rows"], alone["rows"])


if __name__ == "__main__":
    for layout in LAYOUTS:
        out = f"{sys.argv[1]}/{layout}-{os.environ['RANK']}.npz"
        measure(f"{sys.argv[1]}/{layout}", "tensor_parallel", out)
