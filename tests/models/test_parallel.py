"""Of two processes the first leads: the other takes the same steps, and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hneuro.contributions.extract import extract
from hneuro.models import parallel
from hneuro.models.edits import scaled
from hneuro.models.load import load
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.origin.distance import loaded_distances
from hneuro.records import UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate

SEQUENCES = [[1, 9, 30, 12], [1, 40, 7, 7, 21, 33, 8, 19, 4], [1, 5]]
WEIGHTS = [np.full((1, len(s)), 1 / len(s), dtype=np.float32) for s in SEQUENCES]


def lead(folder: str, device_map: str | None, out: str) -> None:
    """What a run does: two models, a model that cannot be loaded between them, and steps with both."""
    with parallel.leading():
        for broken in ("nowhere", "neither"):
            with pytest.raises(UserError, match="cannot load"):
                load(HubCheckpoint(path=broken), ModelSpec(name="", chat=HubCheckpoint(path=broken)))
        sources = [HubCheckpoint(path=f"{folder}/{name}") for name in ("chat", "base")]
        chat, base = (load(s, ModelSpec(name="", chat=s, dtype="float32", device_map=device_map)) for s in sources)
        jobs = [
            Job(tuple(s), seed="", treatment=scaled((3, 60, 150), a)) for s, a in zip(SEQUENCES, (1, 3, 0), strict=True)
        ]
        np.savez(
            out,
            chat=extract(chat, SEQUENCES, WEIGHTS, token_budget=100),
            base=extract(base, SEQUENCES, WEIGHTS, 100, only=[150, 3]),
            text=[token for g in generate(base, 0, jobs, Decoding(max_new_tokens=6)) for token in g.token_ids],
            drift=loaded_distances(chat, base),
        )
    parallel.dismiss()


def test_the_followers_take_every_step(tiny_checkpoint: Path, base_model: object, tmp_path: Path) -> None:
    (tmp_path / "chat").symlink_to(tiny_checkpoint)
    (tmp_path / "base").symlink_to(base_model.source.path)  # type: ignore[attr-defined]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    pair = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path)], env=os.environ | place | {"RANK": rank, "LOCAL_RANK": rank}
        )
        for rank in ("0", "1")
    ]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]
    lead(str(tmp_path), None, str(tmp_path / "alone.npz"))
    found, alone = np.load(tmp_path / "pair.npz"), np.load(tmp_path / "alone.npz")
    for name in ("chat", "base"):
        np.testing.assert_allclose(found[name], alone[name], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found["text"], alone["text"])
    np.testing.assert_array_equal(found["drift"], alone["drift"])


def test_alone_nothing_is_told_to_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_tell", lambda message: pytest.fail("told"))
    assert not parallel.is_team()
    with parallel.leading():
        assert parallel.together(lambda a, b: a - b)(5, b=2) == 3
    parallel.dismiss()


if __name__ == "__main__":
    if parallel.is_follower():
        parallel.follow()
    else:
        lead(sys.argv[1], "tensor_parallel", f"{sys.argv[1]}/pair.npz")
