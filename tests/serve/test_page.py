"""The page in a real browser: it asks, colours, reviews, and runs nothing that a model or a person wrote."""

from __future__ import annotations

import queue
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import serving as parts
from chromium import CHROMIUM, FLAGS, browser
from fastapi import FastAPI, Request
from serving import made_service, serving

from hneuro.detector import Answer, Detector
from hneuro.serve import app
from hneuro.serve.page import HEADERS, PAGE
from hneuro.serve.policy import Decision
from hneuro.serve.service import SCALED, Service

EVIL = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
DRIVER = """
const until = async said => { while (!said()) await new Promise(done => setTimeout(done, 20)); };
const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
(async () => { try { STEPS } catch (fault) { document.body.dataset.fault = String(fault); }
fetch("/seen", { method: "POST", body: document.documentElement.outerHTML }); })();
"""


def driven(service: Service, steps: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page after a script of the test has used it. Its own policy stays, but for that script."""
    script = DRIVER.replace("STEPS", steps)
    policy = HEADERS["Content-Security-Policy"].replace("script-src ", "script-src 'nonce-test' ")
    seen = queue.Queue[str]()

    def watched(*words: Any) -> FastAPI:
        made = app.application(*words)

        @made.post("/seen")
        async def show(request: Request) -> None:
            seen.put((await request.body()).decode())

        return made

    with monkeypatch.context() as changed:
        changed.setattr(app, "PAGE", PAGE.replace("</body>", f"<script nonce=test>{script}</script></body>"))
        changed.setattr(app, "HEADERS", HEADERS | {"Content-Security-Policy": policy})
        changed.setattr(parts, "application", watched)
        assert CHROMIUM is not None
        with serving(service) as url, (folder / "log").open("w+") as log:
            command = [CHROMIUM, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", url]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
            try:
                dom = seen.get(timeout=90)
            finally:
                process.terminate()
                process.wait()
        assert "CONSOLE" not in (folder / "log").read_text()
    assert "data-fault" not in dom, dom[-300:]
    return dom


@browser
def test_it_asks_and_colours_what_is_said(detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = made_service(detector, tmp_path, tokens=300)
    steps = """
      at("question").value = "Who wrote Hamlet?";
      press(at("question"), "Enter");
      await until(() => { const said = document.querySelector(".verdict"); return said && said.textContent !== "…"; });
    """
    dom = driven(service, steps, tmp_path, monkeypatch)
    said = detector.answer("Who wrote Hamlet?", 256)
    shares = [float(share) for share in re.findall(r"--share: ([\d.]+)", dom)]
    assert shares == pytest.approx((0.75 * said.risk).tolist(), abs=2e-3)
    assert dom.count("stated") > len(said.stated), "in the style, and at every token that states the answer"
    assert "the detector's own threshold" in dom
    assert ("likely made up" if said.flagged else "not flagged") in dom
    assert f"score {said.score:.2f}" in dom


@browser
def test_a_token_names_its_neurons_and_is_drawn_again(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = """
      at("question").value = "Who wrote Hamlet?";
      press(at("question"), "Enter");
      await until(() => document.querySelector(".drivers") && at("stop").disabled);
      const answer = document.querySelector(".answer");
      answer.focus();
      press(answer, "Home");
      answer.children[5].dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
      press(answer, "ArrowRight");
      document.body.dataset.said = document.querySelector(".drivers").textContent;
      press(answer, "Enter");
      await until(() => document.querySelectorAll(".drivers").length === 2);
      const kept = [...answer.children].slice(0, 6).map(node => node.textContent).join("");
      document.body.dataset.kept = document.querySelector(".answer").textContent.startsWith(kept);
    """
    dom = driven(made_service(detector, tmp_path, tokens=300), steps, tmp_path, monkeypatch)
    said = detector.answer("Who wrote Hamlet?", 256)
    assert said.added is not None
    assert f"risk {said.risk[6]:.2f}" in dom
    layer, index = detector.neurons[int(np.abs(said.added[6]).argmax())]
    found = re.search(r'data-said="[^"]*?layer (\d+), neuron (\d+): (.)([\d.]+) to', dom)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (layer, index)
    assert float(found[4]) == pytest.approx(np.abs(said.added[6]).max(), abs=0.01)
    assert 'data-kept="true"' in dom


@browser
def test_it_shows_the_calibration_and_what_policies_promise(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = """
      at("tab-kept").click();
      await until(() => document.querySelectorAll("#policies tr").length === 5);
    """
    dom = driven(made_service(detector, tmp_path), steps, tmp_path, monkeypatch)
    assert "200 answers of made" in dom
    assert len(re.findall(r"--seen: [\d.]+%", dom)) == 10
    assert "at most 10% of right answers are flagged (confidence 95%" in dom
    assert "at most 20% of passed answers are hallucinated" in dom


@browser
def test_the_slider_scales_where_it_may(detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = made_service(detector, tmp_path, tokens=300, steering=True)
    steps = """
      await until(() => !at("steering").hidden);
      at("alpha").value = "2.5";
      at("alpha").dispatchEvent(new Event("input"));
      at("question").value = "Who wrote Hamlet?";
      press(at("question"), "Enter");
      await until(() => { const said = document.querySelector(".verdict"); return said && said.textContent !== "…"; });
    """
    dom = driven(service, steps, tmp_path, monkeypatch)
    assert '<output id="factor" for="alpha">2.5</output>' in dom
    assert f"unchecked: {SCALED}" in dom


@browser
def test_it_reviews_by_the_keyboard_and_runs_no_html(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = made_service(detector, tmp_path)
    for n in range(3):
        held = Answer(
            question=f"{n} {EVIL}", text=EVIL, tokens=(EVIL,), risk=np.array([0.5]), stated=(0,), score=0.7,
            threshold=0.5,
        )  # fmt: skip
        service.queue.put(held, EVIL, Decision("hold", True))
    steps = """
      at("tab-queue").click();
      await until(() => document.querySelectorAll("#held article").length === 3);
      press(document.activeElement, "ArrowDown");
      press(document.activeElement, "w");
      await until(() => document.querySelectorAll("#held article").length === 2);
      press(document.activeElement, "C");
      await until(() => document.querySelectorAll("#held article").length === 1);
    """
    dom = driven(service, steps, tmp_path, monkeypatch)
    assert "<title>ran" not in dom
    assert "&lt;img src=x" in dom
    assert "1 answer waits" in dom
    assert [(row["question"][0], row["verdict"]) for row in service.queue.labels()] == [
        ("1", "wrong"),
        ("2", "correct"),
    ]


def test_it_needs_nothing_from_elsewhere(url: str) -> None:
    reply = httpx.get(url)
    assert reply.text == PAGE
    assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", PAGE)
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
