"""The page in a real browser, where there is one: a silent console, every section, no sideways scrolling."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from hneuro.report.page import write_report
from hneuro.result_records import Results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium lets the browser test run"
)


@dataclass(frozen=True)
class Shown:
    dom: str
    console: list[str]


def show(page: Path, profile: Path, *flags: str) -> Shown:
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return Shown(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


def test_the_page_in_a_browser(results: Results, tmp_path: Path) -> None:
    page = write_report(results, tmp_path / "run")
    shown = show(page, tmp_path / "profile")
    assert shown.console == []
    sections = re.findall(r'<section id="(\w+)"', shown.dom)
    assert sections[0] == "findings"
    assert sections[-1] == "provenance"
    assert shown.dom.count("<svg") == len(list((tmp_path / "run" / "figures").glob("*.svg")))
    assert "<script" not in shown.dom

    # A copy that may run one script: it reports what went wrong, and how wide the page is on a narrow screen.
    measured = page.read_text(encoding="utf-8")
    measured = re.sub(r"<meta http-equiv[^>]*>", "", measured)
    script = """<script>
      document.body.dataset.width = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      console.error("seen");
    </script></body>"""
    copy = tmp_path / "copy.html"
    copy.write_text(measured.replace("</body>", script), encoding="utf-8")
    narrow = show(copy, tmp_path / "profile", "--window-size=500,900")
    assert len(narrow.console) == 1, "the console is watched"
    assert 'data-width="0"' in narrow.dom, "no sideways scrolling"
