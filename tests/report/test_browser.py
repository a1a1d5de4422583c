"""The page in a real browser, where there is one: what a reader can do with it, on a screen, a telephone and paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from chromium import browse, browser, copy, of, used

pytestmark = browser

# Everything that a reader does on one page, one thing after the other, each told in a line of the console.
USED = """const mark = (name, what) => all(`figure[data-name="${name}"] ${what}`);
  const later = () => new Promise((go) => setTimeout(go, 1500));
  const point = (one, ...kinds) => kinds.forEach((kind) =>
    one.dispatchEvent(new PointerEvent(kind, { bubbles: true, clientX: 9, clientY: 9 })));
  await loaded();

  form.verdict.value = "correct"; form.words.value = "GLASS";
  form.dispatchEvent(new Event("input"));
  tell("filter", form.querySelector("output").textContent, form.hidden,
    all("#answers article:not([hidden])").map((one) => one.dataset.verdict));
  form.reset(); form.dispatchEvent(new Event("input"));

  all("details").forEach((one) => { one.open = true; });
  const hostile = "<" + "/script><img src=x onerror=tell('owned')>";
  for (const name of ["cost", "change_compliance"]) {
    data.figures[name] = JSON.parse(JSON.stringify(data.figures[name]).replaceAll("false premise", hostile));
  }
  await Promise.all(all("figure[data-name]").map(draw));
  await later();
  for (const name of ["cost", "change_compliance"]) {
    point(mark(name, ".mark-symbol.role-mark").at(-1).firstChild, "pointermove");
    tell(name, document.getElementById("vg-tooltip-element").innerText, all("img").length);
  }

  const lines = () => mark("alpha_doubt_compliance", ".mark-line path")
    .filter((line) => line.getAttribute("opacity") >= 0.6).length;
  const before = lines();
  point(mark("alpha_doubt_compliance", ".role-legend-symbol path")[1], "pointerdown", "pointerup", "click");
  await later();
  tell("legend", before, lines());

  const opened = () => [panel.hidden, document.activeElement.tagName, panel.innerText,
    panel.querySelectorAll("img").length, panel.querySelectorAll("svg").length];
  const closed = panel.hidden;
  all("#neurons td button")[1].click();
  await later();
  tell("button", closed, ...opened());
  panel.hidden = true;
  point(mark("neurons", ".mark-symbol.role-mark path")[1], "pointerdown", "pointerup", "click");
  await later();
  tell("map", ...opened());

  document.getElementById("vg-tooltip-element").remove();
  tell("light", await violations());
  darken();
  tell("dark", getComputedStyle(document.body).backgroundColor, await violations("color-contrast"));"""

UNSCRIPTED = """location.hash = "#cause";
  const found = [...document.querySelectorAll("main > section > details[open] > .body")].map((one) => one.id);
  console.error(`<unscripted> open: ${found}. </unscripted>`);"""


@pytest.fixture(scope="module")
def told(report: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One browser, in which the page is used, shown in a narrow frame, and read without its script."""
    folder, page = tmp_path_factory.mktemp("browser"), report / "report.html"
    copy(page, folder / "unscripted.html", UNSCRIPTED, own=False)
    return used(page, folder, USED, more='<iframe src="unscripted.html"></iframe>')


def test_the_page_as_it_is(report: Path, tmp_path: Path) -> None:
    """Only its own script may run; the console stays silent, and every section is closed."""
    dom, console = browse(report / "report.html", tmp_path / "profile", "--dump-dom")
    assert console == ""
    sections = re.findall(r'<div class="body" id="(\w+)"', dom)
    assert (sections[0], sections[-1]) == ("findings", "provenance")
    assert dom.count("<svg") == 4 + len(list((report / "figures").glob("*.svg")))
    assert "4 of 4 answers</output>" in dom
    assert "<details open" not in dom


def test_a_narrow_screen(told: str) -> None:
    assert of(told, "narrow") == "wider by 0 and 0, 400"


def test_a_link_opens_its_section_without_a_script(told: str) -> None:
    assert of(told, "unscripted") == "open: cause."


def test_answers_are_filtered(told: str) -> None:
    assert of(told, "filter") == "1 of 4 answers; false; correct"


@pytest.mark.parametrize("name", ["cost", "change_compliance"])
def test_figures_tell_their_values_and_names_are_no_code(told: str, name: str) -> None:
    """In a page that may run anything: what is hovered over says its name as text."""
    assert re.search(r"value \[95 %\].*n \d+; 0$", of(told, name))
    assert "owned" not in told.replace("tell('owned')", "")
    assert "onerror=tell('owned')" in of(told, "change_compliance")


def test_a_click_in_a_legend_leaves_one_set(told: str) -> None:
    assert of(told, "legend") == "21; 5"


@pytest.mark.parametrize("way", ["button", "map"])
def test_a_neuron_opens_its_panel(told: str, way: str) -> None:
    """By a button, which a keyboard reaches, or on the map; what was asked and said is text."""
    said = of(told, way).removeprefix("true; ")
    assert said.startswith("false; H3; Neuron")
    assert "Rank 2, weight 7.200" in said
    assert "Its highest CETT at 60 answers" in said
    assert said.endswith("; 0; 1"), "no image, one figure"


def test_everyone_can_read_it(told: str) -> None:
    """Contrast, names, structure, keyboard: what axe finds, with everything open; in the dark the contrast."""
    assert of(told, "light") == "[]"
    assert of(told, "dark") == "rgb(20, 23, 27); []"


def test_paper_has_every_section(report: Path, tmp_path: Path) -> None:
    """With all sections closed, and no script."""
    closed, paper = copy(report / "report.html", tmp_path / "closed.html", "", own=False), tmp_path / "paper.pdf"
    browse(closed, tmp_path / "profile", f"--print-to-pdf={paper}")
    assert len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())) > 4
