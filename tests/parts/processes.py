"""Commands of hneuro in processes of their own, to be killed or waited for.

They are forked from a server that has imported everything, which would be most of the work of each.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["hneuro.cli", "hneuro.pipeline.method", "hneuro.runs", "transformers.modeling_utils"])


def start(folder: Path, *words: str, **env: str) -> BaseProcess:
    """`hneuro WORDS` in `folder`, where `out` and `errors` get what it says: workers that outlive it keep them open."""
    folder.mkdir(parents=True, exist_ok=True)
    around = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env}
    process = _FORKED.Process(target=_main, args=(folder, words, around))
    process.start()
    return process


def end(process: BaseProcess, folder: Path) -> tuple[int | None, str, str]:
    """Its exit code, what it printed and what it complained of."""
    process.join(timeout=240)
    return process.exitcode, (folder / "out").read_text(), (folder / "errors").read_text()


def _main(folder: Path, words: tuple[str, ...], env: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for name, number in (("out", 1), ("errors", 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from hneuro.cli import main

    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # else multiprocessing waits for the idle workers of joblib before it lets them go
