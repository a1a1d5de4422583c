"""Jobs that submitit has sent to SLURM, watched by the queue: accounting, which it asks, not every cluster has."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Sequence

from submitit.core.utils import FailedJobError, UncompletedJobError
from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

from hneuro.sweeps.plan import Cell

SECONDS = 10  # between two looks
GONE = "GONE"  # from the queue, some minutes after its end


class Queue(SlurmInfoWatcher):
    """`squeue` in the place of `sacct`."""

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        return ["squeue", "--noheader", "--array", "--states=all", f"--user={getpass.getuser()}", "--format=%i|%T"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        said = string if isinstance(string, str) else string.decode()
        listed = dict(line.split("|") for line in said.splitlines())
        return {job: {"State": listed.get(job, GONE)} for job in self._registered}

    def outlast(self) -> None:
        """Returns when no job is left: the others of an array run on, or wait for their turn."""
        while self._registered - self._finished:
            self.update()
            time.sleep(SECONDS)


def outlasting(launch: Callable[[Sequence[Cell]], object]) -> Callable[[Sequence[Cell]], None]:
    """The same, watched by the queue; where a job has died, it returns when no other is left."""
    SlurmJob.watcher = queue = Queue(delay_s=SECONDS)

    def launched(batch: Sequence[Cell]) -> None:
        try:
            launch(batch)
        except (UncompletedJobError, FailedJobError):
            queue.outlast()
            raise

    return launched
