"""A real browser, where there is one: pages are opened in it, used by a script, and judged by axe."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import axe_core_python
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
)  # fmt: skip
browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium lets this test run")

# What a script of a test has: it tells things in lines of the console, and asks axe what cannot be read by everyone.
TOOLS = """const plain = (what) => what.join("; ").replaceAll(/\\s+/g, " ");
  const tell = (name, ...what) => console.error(`<${name}> ${plain(what)} </${name}>`);
  const all = (what) => [...document.querySelectorAll(what)];
  const loaded = async () => {
    await new Promise((go) => addEventListener("load", go));
    all("iframe").forEach((frame) => frame.remove());
  };
  const violations = async (...rules) => JSON.stringify((await axe.run(rules.length ? { runOnly: rules } : {}))
    .violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]));
  const darken = () => [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
    .filter(({ media }) => media?.mediaText.includes("dark"))
    .forEach(({ media }) => { media.mediaText = "screen"; });"""

# At 400 px, closed and with everything open. No window is that narrow, but a frame is.
NARROW = """const wide = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const closed = wide();
  for (const each of document.querySelectorAll("details")) each.open = true;
  console.error(`<narrow> wider by ${closed} and ${wide()}, ${innerWidth} </narrow>`);"""


def browse(page: Path, profile: Path, *flags: str) -> tuple[str, str]:
    """What the page is in the end, without scripts, and what the console says."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    said = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL), said


def copy(page: Path, file: Path, script: str, own: bool = True, more: str = "") -> Path:
    """A copy that may run one more script, or no other than it, and has `more` in its body."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    if not own:
        text = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)  # that of the figures is data
    before, end, after = text.rpartition("</body>")
    file.write_text(f"{before}{more}<script>{{{script}}}</script>{end}{after}", encoding="utf-8")
    return file


def used(page: Path, folder: Path, script: str, more: str = "") -> str:
    """What a script tells that uses the page, and next to it the page in a narrow frame; `script` awaits."""
    copy(page, folder / "narrow.html", NARROW)
    frames = f'<iframe src="narrow.html" width="400" height="800" style="border:0"></iframe>{more}'
    axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    made = copy(page, folder / "used.html", f"{axe};{TOOLS}(async () => {{{script}}})();", more=frames)
    return browse(made, folder / "profile", "--virtual-time-budget=120000", "--dump-dom")[1]


def of(told: str, name: str) -> str:
    """The line of one thing."""
    (found,) = re.findall(rf"<{name}> (.*) </{name}>", told)
    return str(found)
