"""What a run shows while it works: on a real terminal, and in a log."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

# Three steps, of which the second is computed in four shards and the third does not come.
RUN = """
import logging, time
from hneuro.cli import Lines
from hneuro.progress import is_quiet, set_quiet, step, steps, track
logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[Lines()])
set_quiet({quiet})
made = []
with steps(("answers", "neurons", "cause"), lambda: (len(made), 2)):
    step("answers")
    step("neurons")
    for shard in track(range(4), "contributions"):
        time.sleep(0.3)
        logging.getLogger("hneuro").info("shard %d; libraries draw: %s", shard, not is_quiet())
    made.append("contributions")
"""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(code: str) -> list[str]:
    """Every line that is written, those that are drawn over later too."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-c", code], stderr=theirs, stdout=theirs, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert run.wait() == 0, written.decode()
    return [line.strip() for line in re.split(r"[\r\n]+", CONTROL.sub("", written.decode()))]


def test_a_terminal_shows_all_steps_and_what_is_computed() -> None:
    lines = on_a_terminal(RUN.format(quiet=False))
    text = "\n".join(lines)
    last = [line for line in lines if line][-3:]
    assert re.match(r"\+ answers +0:00:00 +0 computed, 0 from the store", last[0]), text
    assert re.match(r"\+ neurons +0:00:01 +1 computed, 0 from the store", last[1]), text
    assert "cause" in last[2], "a step that has not begun is shown"
    assert re.search(r"contributions .* 2/4 0:00:0\d", text), "the bar of a stage has the time that is left"
    assert "shard 3; libraries draw: False" in lines, "what is logged meanwhile is a line of its own"


@pytest.mark.parametrize("quiet", [True, False])
def test_a_log_has_a_line_for_each_step(quiet: bool) -> None:
    done = subprocess.run([sys.executable, "-c", RUN.format(quiet=quiet)], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if "shard" not in line]
    assert lines == ["answers: 0 computed, 0 from the store, 0 s", "neurons: 1 computed, 0 from the store, 1 s"]
