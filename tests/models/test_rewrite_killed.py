"""Editing in place, killed anywhere by SIGKILL: the same command finishes it, or revert gives the original back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Forks a process for every step of the work, which kills itself there; the parent looks at what is left.
SCRIPT = '''
import os, shutil, signal, sys
from pathlib import Path
import torch, transformers
from hneuro.models import rewrite
from hneuro.models.columns import StoredColumns
from hneuro.models.patch import Patch
from hneuro.models.sources import HubCheckpoint
from hneuro.records import NeuronSpace

root = Path(sys.argv[1])
torch.manual_seed(0)
config = transformers.LlamaConfig(
    vocab_size=48, hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4
)
transformers.LlamaForCausalLM(config).save_pretrained(root / "original", max_shard_size="6KB")
(root / "original" / "README.md").write_text("the original card")
patch = Patch(
    neurons=(3, 39, 47, 101), alpha=0.3, space=NeuronSpace(n_layers=3, width=40),
    weights=HubCheckpoint(path=str(root / "original")).identity(),
)


def fresh(name):
    shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(root / "original", root / name)
    return root / name


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def edit(folder):
    rewrite.edit_in_place(HubCheckpoint(path=str(folder)), patch, "the card of the edit")


def kill_at(step):
    """Before the step-th thing that the module does to files; a write of columns is killed in its middle."""
    seen = [0]

    def counting(function):
        def counted(*args, **kwargs):
            seen[0] += 1
            if seen[0] == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return counted

    def half(self, folder, values):
        seen[0] += 1
        if seen[0] == step:
            write(self, folder, torch.where(torch.arange(len(values))[:, None] < 7, values, 7.0).to(values))
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, folder, values)

    write, StoredColumns.write = StoredColumns.write, half
    for name in ("file_digest", "appearing", "save_file", "write_patch", "write_card", "sync"):
        setattr(rewrite, name, counting(getattr(rewrite, name)))
    for name in ("copyfile", "rmtree"):
        setattr(shutil, name, counting(getattr(shutil, name)))


original, edited = contents(root / "original"), None
edit(fresh("edited"))
edited = contents(root / "edited")
assert edited["model.safetensors.index.json"] == original["model.safetensors.index.json"]
for work in ("edit", "revert"):
    step, killed, begun = 0, True, 0
    while killed:
        step += 1
        folder = fresh("model")
        if work == "revert":
            edit(folder)
        child = os.fork()
        if child == 0:
            kill_at(step)
            (edit if work == "edit" else rewrite.revert_checkpoint)(folder)
            os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        shutil.rmtree(root / "again", ignore_errors=True)
        shutil.copytree(folder, root / "again")
        if work == "edit":
            edit(root / "again")
            assert contents(root / "again") == edited, step
        if rewrite.edits_of(folder) is None:
            left = {name: bits for name, bits in contents(folder).items() if "hneuro_edit" not in name}
            assert left == original, step
        else:
            begun += 1
            rewrite.revert_checkpoint(folder)
            assert contents(folder) == original, step
    print(work, step, begun)
'''


def test_killed_at_every_step(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        work, steps, begun = line.split()
        assert int(steps) > 20, work
        assert int(begun) > 10, work
