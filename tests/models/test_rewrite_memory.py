"""A checkpoint is edited in the memory of one tensor, however many it has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

SCRIPT = r"""
import re, sys
from pathlib import Path
from hneuro.models.patch import Patch
from hneuro.models.rewrite import edit_checkpoint
from hneuro.models.sources import HubCheckpoint
from hneuro.neurons import NeuronSpace


def resident(kind):
    status = Path("/proc/self/status").read_text()
    return int(re.search(kind + r":\s+(\d+) kB", status)[1]) / 1024  # MiB


def edited(name, out):
    width = {"small": 64, "large": 4096}[name]
    source = HubCheckpoint(path=str(root / name))
    neurons = tuple(layer * width + 5 for layer in range(12))
    space = NeuronSpace(n_layers=12, width=width)
    edit_checkpoint(source, root / out, Patch(neurons=neurons, alpha=0.3, space=space, weights=source.identity()))


root = Path(sys.argv[1])
edited("small", "first")  # imports, and whatever else is needed once
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on
before = resident("VmRSS")
edited("large", "second")
print(resident("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_is_that_of_a_tensor_and_not_of_the_model(tmp_path: Path) -> None:
    """144 MiB of weights in shards, whose largest tensors have 4 MiB."""
    for name, width in (("small", 64), ("large", 4096)):
        sizes = {"hidden_size": 256, "intermediate_size": width, "num_hidden_layers": 12, "num_attention_heads": 4}
        config = LlamaConfig(**sizes, vocab_size=64, initializer_range=0.0)
        LlamaForCausalLM(config).save_pretrained(tmp_path / name, max_shard_size="20MB")
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shards = list((tmp_path / "large").glob("*.safetensors"))
    assert len(shards) > 5
    assert sum(file.stat().st_size for file in shards) > 144 * 2**20
    assert float(done.stdout) < 16
