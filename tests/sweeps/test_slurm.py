"""Sweeps on a real SLURM of two nodes, both this machine, which the test starts and stops."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import end, start
from tiny_cell import tiny_cell

from hneuro.models.language_model import LanguageModel
from hneuro.states import State
from hneuro.sweeps.plan import read_plan, state_of

NEEDS = ("munged", "slurmctld", "slurmd", "sbatch")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, NEEDS)), reason="needs slurm-wlm and munge, and to be root"
)
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1,sched_interval=1
MinJobAge=2
KillWait=1
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=4000
PartitionName=long Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Calls a command of SLURM, and gives what it says."""
    folder = tmp_path_factory.mktemp("slurm")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    host = platform.node().split(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=ports))
    (folder / "cgroup.conf").touch()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    for made in ("state", "spool-n1", "spool-n2"):
        (folder / made).mkdir()
    env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    daemons = []
    for command in ([*munged, *files], ["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]):
        with (folder / f"{command[0]}.out").open("ab") as said:
            daemons.append(subprocess.Popen(command, env=env, stdout=said, stderr=said))
        time.sleep(0.5)

    def call(*words: str) -> str:
        return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.strip()

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", env["SLURM_CONF"])
        try:
            until(lambda: call("sinfo", "-h", "-N", "-o", "%T").split() == ["idle", "idle"])
            yield call
        finally:
            for daemon in reversed(daemons):
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(timeout=30)


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except subprocess.CalledProcessError:  # SLURM is not there yet
            pass
        assert time.monotonic() < limit
        time.sleep(0.2)


SWEEP = [
    *("run", "-m", "launcher=slurm", "hydra.launcher.partition=long", "hydra.launcher.gpus_per_node=null"),
    *("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2", "hydra.launcher.array_parallelism=6"),
]


def test_a_sweep_outlives_the_loss_of_jobs_and_nodes(
    slurm: Callable[..., str], tmp_path: Path, tiny_checkpoint: Path, language_model: LanguageModel
) -> None:
    """Six cells: one job is cancelled, one loses its node, one is requeued; each cell is done in the end, once."""
    words = tiny_cell(tmp_path, tiny_checkpoint, language_model)
    long = ("sampling.samples=20", "sampling.decoding.max_new_tokens=200")  # enough to be hit before it ends
    sweep = [*SWEEP, *words, *long, "until=responses", "seed=0,1,2,3,4,5"]
    process = start(tmp_path, *sweep)

    def state(job: str) -> State:
        """Of the cell that is a job's, which `hneuro status` says."""
        (folder,) = tmp_path.glob("outputs/sweeps/*")
        return state_of(folder, read_plan(folder).cells[int(job.partition("_")[2])]).state

    def at_work(node: str) -> str:
        """The job on a node, when its run has begun."""
        jobs = slurm("squeue", "-h", "-r", "-t", "R", "-w", node, "-o", "%i").split()
        return next((job for job in jobs if state(job) is State.RUNNING), "")

    def died(job: str) -> bool:
        return state(job) is State.DIED

    until(lambda: at_work("n1"))
    cancelled = at_work("n1")
    slurm("scancel", cancelled)
    until(lambda: died(cancelled))
    until(lambda: at_work("n2"))
    lost = at_work("n2")
    slurm("scontrol", "update", "nodename=n2", "state=down", "reason=lost")
    until(lambda: died(lost))
    slurm("scontrol", "update", "nodename=n2", "state=resume")
    until(lambda: at_work("n1"))
    requeued = at_work("n1")
    slurm("scontrol", "requeue", requeued)
    until(lambda: died(requeued))
    for job in (lost, requeued):  # at once, and not after two minutes
        until(lambda: slurm("squeue", "-h", "-r", "-j", job, "-o", "%T") == "PENDING")  # noqa: B023
        slurm("scontrol", "update", f"jobid={job}", "starttime=now")
    code, out, errors = end(process, tmp_path)
    assert code == 0, errors
    assert "6 done" in out
    until(lambda: not slurm("squeue", "-h", "-t", "R,PD"))  # nothing was sent twice
    code, out, _ = end(start(tmp_path, "status", "outputs/sweeps"), tmp_path)
    assert code == 0
    assert "6 done" in out
    code, out, _ = end(start(tmp_path, *sweep), tmp_path)
    assert "6 cells, 0 of them to run" in out
    timed = [json.loads(line) for line in (tmp_path / "outputs/store/timings.jsonl").read_text().splitlines()]
    assert len(timed) == len({(line["stage"], line["key"]) for line in timed}), "a stage was computed twice"


def test_a_cell_that_fails_is_told_though_its_job_is_completed(slurm: Callable[..., str], tmp_path: Path) -> None:
    """For SLURM both end well."""
    cells = ["dataset=file", "benchmark=none", "model=hub", "model.name=m", "model.chat.path=/nowhere"]
    cells.append("dataset.identification.path=a.jsonl,b.jsonl")
    code, out, errors = end(start(tmp_path, *SWEEP, *cells), tmp_path)
    assert code == 2, errors
    assert "the file a.jsonl does not exist" in out
    assert "the file b.jsonl does not exist" in out
    for state in tmp_path.glob("outputs/hneuro/*/status.json"):
        assert "Traceback" in (state.parent / "traceback.txt").read_text()
