"""The page in a real browser, where there is one: a silent console, every section, no sideways scrolling."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import axe_core_python
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
    dom = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    return Shown(dom, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


@pytest.fixture(scope="module")
def page(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, tmp_path_factory.mktemp("browser") / "run")


def with_script(page: Path, folder: Path, script: str, own: bool = True) -> Path:
    """A copy that may run one more script, or no other than it, and says in the console what that finds."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    if not own:
        text = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)  # that of the figures is data
    copy = folder / "copy.html"
    before, end, after = text.rpartition("</body>")
    copy.write_text(f"{before}<script>{{{script}}}</script>{end}{after}", encoding="utf-8")
    return copy


def test_the_page_in_a_browser(page: Path, tmp_path: Path) -> None:
    shown = show(page, tmp_path / "profile")
    assert shown.console == []
    sections = re.findall(r'<div class="body" id="(\w+)"', shown.dom)
    assert (sections[0], sections[-1]) == ("findings", "provenance")
    assert shown.dom.count("<svg") == 4 + len(list((page.parent / "figures").glob("*.svg")))
    assert "4 of 4 answers</output>" in shown.dom, "its own script may run"
    assert "<details open" not in shown.dom


def test_a_narrow_screen(page: Path, tmp_path: Path) -> None:
    """400 px, closed and with everything open. No window is that narrow, but a frame is."""
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    script = f"""const closed = {wide};
      for (const each of document.querySelectorAll("details")) each.open = true;
      console.error(`wider by ${{closed}} and ${{{wide}}}, ${{innerWidth}}`);"""
    frame = tmp_path / "frame.html"
    copy = with_script(page, tmp_path, script)
    frame.write_text(f'<iframe src="{copy.name}" width="400" height="800" style="border:0"></iframe>')
    (line,) = show(frame, tmp_path / "profile").console
    assert "wider by 0 and 0, 400" in line


def test_a_link_opens_its_section_without_a_script(page: Path, tmp_path: Path) -> None:
    script = """location.hash = "#cause";
      const found = [...document.querySelectorAll("main > section > details[open] > .body")].map((one) => one.id);
      console.error(`open: ${found}.`);"""
    (line,) = show(with_script(page, tmp_path, script, own=False), tmp_path / "profile").console
    assert "open: cause." in line


def test_answers_are_filtered(page: Path, tmp_path: Path) -> None:
    script = """form.verdict.value = "correct"; form.words.value = "GLASS";
      form.dispatchEvent(new Event("input"));
      console.error(`left: ${form.querySelector("output").textContent}, ${form.hidden},`,
        [...document.querySelectorAll("#answers article:not([hidden])")].map((one) => one.dataset.verdict).join());"""
    (line,) = show(with_script(page, tmp_path, script), tmp_path / "profile").console
    assert "left: 1 of 4 answers, false, correct" in line


OPENED = "for (const each of document.querySelectorAll('main details')) each.open = true;"
HOSTILE = "</script><img src=x onerror=console.error('owned')>"


def test_figures_tell_their_values_and_names_are_no_code(results: Results, tmp_path: Path) -> None:
    """In a page that may run anything: what is hovered over says its name as text."""
    named = replace(results, rows=tuple(replace(r, dataset=HOSTILE if r.dataset == "false_premise" else r.dataset)
                                        for r in results.rows))  # fmt: skip
    page = write_report(named, tmp_path / "run")
    script = f"""{OPENED}
      const hover = (name) => {{
        [...document.querySelectorAll(`figure[data-name="${{name}}"] .mark-symbol`)].at(-1).firstChild
          .dispatchEvent(new PointerEvent("pointermove", {{ bubbles: true, clientX: 9, clientY: 9 }}));
        return document.getElementById("vg-tooltip-element").innerText.replaceAll(/\\s+/g, " "); }};
      const images = () => document.querySelectorAll("img").length;
      Promise.all([...document.querySelectorAll("figure[data-name]")].map(draw)).then(() => setTimeout(() =>
        console.error(`hovered: ${{hover("cost")}}; ${{hover("change_compliance")}}; images: ${{images()}}.`)));"""
    (line,) = show(with_script(page, tmp_path, script), tmp_path / "profile", "--virtual-time-budget=60000").console
    assert "alpha (1 = untouched)" in line
    assert HOSTILE in line
    assert "images: 0." in line


CLICK = """const click = (one) => ["pointerdown", "pointerup", "click"].forEach((kind) =>
    one.dispatchEvent(new PointerEvent(kind, { bubbles: true, clientX: 9, clientY: 9 })));
  const find = (name, what) => [...document.querySelectorAll(`figure[data-name="${name}"] ${what}`)];"""


def test_a_click_in_a_legend_leaves_one_set(page: Path, tmp_path: Path) -> None:
    script = f"""{OPENED} {CLICK}
      const name = "alpha_doubt_compliance";
      const strong = () => find(name, ".mark-line path").filter((line) => line.getAttribute("opacity") >= 0.6).length;
      draw(find(name, "")[0]).then(() => setTimeout(() => {{
        const before = strong();
        click(find(name, ".role-legend-symbol path")[1]);
        setTimeout(() => console.error(`${{before}} lines, then ${{strong()}}.`), 3000); }}, 3000));"""
    (line,) = show(with_script(page, tmp_path, script), tmp_path / "profile", "--virtual-time-budget=60000").console
    assert "21 lines, then 5." in line


@pytest.mark.parametrize("way", ["document.querySelectorAll('#neurons td button')[1].click()",
                                 "click(find('neurons', '.mark-symbol path')[1])"], ids=["table", "map"])  # fmt: skip
def test_a_neuron_opens_its_panel(page: Path, tmp_path: Path, way: str) -> None:
    """By a button, which a keyboard reaches, or on the map; what was asked and said is text."""
    script = f"""{OPENED} {CLICK}
      const focus = () => document.activeElement.tagName;
      const said = () => panel.innerText.replaceAll(/\\s+/g, " ");
      const before = panel.hidden;
      draw(find("neurons", "")[0]).then(() => setTimeout(() => {{
        {way};
        setTimeout(() => console.error(`${{before}}, ${{panel.hidden}}; ${{focus()}}; ${{said()}};`,
          panel.querySelectorAll("img").length, "images", panel.querySelectorAll("svg").length, "figure"),
          3000); }}, 3000));"""
    (line,) = show(with_script(page, tmp_path, script), tmp_path / "profile", "--virtual-time-budget=60000").console
    assert "true, false; H3; Neuron" in line
    assert "Rank 2, weight 7.200" in line
    assert "Its highest CETT at 60 answers" in line
    assert "0 images 1 figure" in line


@pytest.mark.parametrize("scheme", ["0", "1"], ids=["dark", "light"])
def test_everyone_can_read_it(small: Results, tmp_path: Path, scheme: str) -> None:
    """Contrast, names, structure, keyboard: what axe finds, with everything open."""
    page = write_report(small, tmp_path / "run")
    script = f"""{(Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")};
      for (const each of document.querySelectorAll("details")) each.open = true;
      axe.run().then(({{ violations }}) => console.error("violations:", JSON.stringify(
        violations.map(({{ id, nodes }}) => [id, nodes.map((node) => node.html)]))));"""
    flags = (f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=60000")
    (line,) = show(with_script(page, tmp_path, script), tmp_path / "profile", *flags).console
    assert "violations: []" in line


def test_paper_has_every_section(page: Path, tmp_path: Path) -> None:
    """As many pages with all sections closed, and no script, as with all of them open."""
    counts = []
    for script in ("", OPENED):
        copy, paper = with_script(page, tmp_path, script, own=False), tmp_path / "paper.pdf"
        show(copy, tmp_path / "profile", f"--print-to-pdf={paper}")
        counts.append(len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())))
    assert counts[0] == counts[1] > 4
