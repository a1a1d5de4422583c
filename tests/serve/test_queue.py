"""The loop: an answer is held, a person labels it, the labels judge, and the detector is calibrated on them."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from serving import made_service, serving, tiny_detector

from hneuro.cli import main
from hneuro.detector import Answer, Detector
from hneuro.questions.file import QuestionFile
from hneuro.records import Response, Verdict
from hneuro.serve.policy import Decision, Policy
from hneuro.serve.queue import Queue
from hneuro.verdicts.labels import LabelsJudge

HELD = Decision("hold", True)
ANSWER = Answer(
    question="Who wrote Hamlet?", text="Ann did.", tokens=("Ann", " did."), risk=np.array([0.9, 0.2]), stated=(0,),
    score=0.9, threshold=0.5, probability=0.8,
)  # fmt: skip


def lines(url: str, content: dict[str, Any]) -> list[Any]:
    reply = httpx.post(f"{url}/v1/chat/completions", json=content, timeout=60)
    return [json.loads(line[6:]) for line in reply.text.split("\n\n") if line.startswith("data: {")]


def test_a_held_answer_goes_to_a_person_and_its_label_to_the_judge(detector: Detector, tmp_path: Path) -> None:
    service = made_service(detector, tmp_path, Policy(above="hold", unchecked="hold"))
    service.limit = replace(service.limit, log_odds=-1e6)  # everything is above it
    asked = {"messages": [{"role": "user", "content": "Who wrote Hamlet?"}], "temperature": 0, "max_tokens": 9}
    with serving(service) as url:
        whole = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60)
        choice = whole.json()["choices"][0]
        said = detector.answer("Who wrote Hamlet?", 9)
        assert choice["message"]["content"] == "This answer waits for a person to review it."
        assert choice["finish_reason"] == "content_filter"
        assert (choice["hneuro"]["decision"], choice["hneuro"]["review"]) == ("hold", 1)
        assert "tokens" not in choice["hneuro"]
        streamed = lines(url, asked | {"stream": True})
        texts = [chunk["choices"][0]["delta"].get("content") for chunk in streamed]
        assert "".join(filter(None, texts)) == choice["message"]["content"]
        assert streamed[-1]["choices"][0]["finish_reason"] == "content_filter"

        (row, _) = httpx.get(f"{url}/queue").json()
        assert (row["question"], row["answer"], row["tokens"]) == ("Who wrote Hamlet?", said.text, list(said.tokens))
        np.testing.assert_allclose(row["risks"], said.risk, atol=1e-5)
        for number, label in ((1, "correct"), (2, "wrong"), (1, "wrong")):
            assert httpx.post(f"{url}/queue/{number}", json={"label": label}).status_code == 200
        assert httpx.get(f"{url}/queue").json() == []
        (tmp_path / "labels.jsonl").write_text(httpx.get(f"{url}/queue/labels").text)

    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "Who wrote Hamlet?", "answers": ["Shakespeare"]}))
    (question,) = QuestionFile(path=str(tmp_path / "q.jsonl")).load().questions
    response = Response(
        question_id=question.id, sample=0, prompt_ids=(1,), token_ids=(2,), text=said.text, logprobs=(), entropies=()
    )
    (judged,) = LabelsJudge(path=str(tmp_path / "labels.jsonl")).judge([(question, response)])
    assert judged.verdict is Verdict.WRONG


def test_an_abstained_answer_is_kept_by_nobody(detector: Detector, tmp_path: Path) -> None:
    service = made_service(detector, tmp_path, Policy(above="abstain", unchecked="abstain"))
    service.limit = replace(service.limit, log_odds=-1e6)
    with serving(service) as url:
        asked = {"messages": [{"role": "user", "content": "Who?"}], "max_tokens": 3, "n": 2, "logprobs": True}
        for choice in httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60).json()["choices"]:
            assert choice["message"]["content"].startswith("No answer is given")
            assert choice["logprobs"] is None
        assert httpx.get(f"{url}/queue").json() == []


def test_what_passes_is_streamed_whole_where_others_are_withheld(detector: Detector, tmp_path: Path) -> None:
    service = made_service(detector, tmp_path, Policy(above="hold", unchecked="hold"))
    service.limit = replace(service.limit, log_odds=1e6)
    asked = {"messages": [{"role": "user", "content": "Who?"}], "temperature": 0, "max_tokens": 9, "stream": True}
    with serving(service) as url:
        texts = [chunk["choices"][0]["delta"].get("content") for chunk in lines(url, asked)]
    assert "".join(filter(None, texts)) == detector.answer("Who?", 9).text


def test_texts_and_old_rows_are_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite"
    silent = Queue(file=file, texts=False)
    assert silent.put(ANSWER, "Ann did.", HELD) == 1
    content = file.read_bytes()
    assert b"Hamlet" not in content
    assert b"Ann" not in content
    assert silent.label(1, "wrong")
    assert silent.labels() == []
    assert file.stat().st_mode & 0o077 == 0
    kept = Queue(file=file, days=2)
    assert kept.put(ANSWER, "Ann did.", HELD) == 2
    with sqlite3.connect(file) as base:
        base.execute("UPDATE held SET time = time - 3 * 86400 WHERE number = 2")
    base.close()
    assert kept.rows(labelled=False) == []
    assert b"Hamlet" not in file.read_bytes(), "what is gone is gone"


def labelled(detector: Detector, count: int) -> list[dict[str, str]]:
    """Answers of which the detector is right more often than not."""
    draw, rows = np.random.default_rng(0), list[dict[str, str]]()
    for n in range(count):
        question = f"What is number {n}?"
        answer = f"It is {n} of {draw.integers(99)}."
        wrong = detector.score(question, answer).score > 0.5 if draw.random() < 0.8 else draw.random() < 0.5
        rows.append({"question": question, "response": answer, "verdict": "wrong" if wrong else "correct"})
    return rows


def test_calibrate_says_how_right_it_was_and_serves_what_it_learned(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = tiny_detector(tiny_checkpoint)
    place = detector.save(tmp_path / "detector")
    assert Detector.load(place).calibration == detector.calibration
    file = tmp_path / "labels.jsonl"
    rows = [*labelled(detector, 60), {"question": "Who?", "response": "No.", "verdict": "refused"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["calibrate", str(place), "--labels", str(file), "--out", str(tmp_path / "mine")]) == 0
    said = capsys.readouterr().out
    assert "| of the run |" in said
    assert "| calibrated, on answers it has not seen |" in said
    found = Detector.load(tmp_path / "mine").calibration
    assert found is not None
    assert len(found.log_odds) == 60
    assert found.dataset == "labels"
    assert main(["calibrate", str(place), "--labels", str(file), "--out", str(tmp_path / "mine")]) == 2
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:9]))
    assert main(["calibrate", str(place), "--labels", str(file)]) == 2
    assert "at least 10 of each are needed" in capsys.readouterr().err


def test_calibrate_learns_from_the_queue(tiny_checkpoint: Path, tmp_path: Path) -> None:
    detector = tiny_detector(tiny_checkpoint)
    place, queue = detector.save(tmp_path / "detector"), Queue(file=tmp_path / "review.sqlite")
    for row in labelled(detector, 60):
        number = queue.put(replace(ANSWER, question=row["question"]), row["response"], HELD)
        assert number is not None
        queue.label(number, row["verdict"])
    assert main(["calibrate", str(place), "--labels", str(queue.file)]) == 0
    assert main(["calibrate", str(place), "--labels", str(tmp_path / "none.sqlite")]) == 2


def test_what_was_calibrated_at_names_is_checked_at_names_alone(detector: Detector) -> None:
    assert detector.calibration is not None
    kept = replace(detector.calibration, candidates=("Japan", "Peru"), method="candidate")
    named = replace(detector, span={"_target_": "hneuro.spans.candidate.CandidateLocator"}, calibration=kept)
    found = named.score("Where is Kofu?", "It is in Japan, in Asia.")
    assert "".join(found.tokens[n] for n in found.stated).strip(" ,") == "Japan"
    assert (found.unchecked, found.probability is None) == ("", False)
    missing = named.score("Who wrote Hamlet?", "William Shakespeare.")
    assert (missing.unchecked, missing.probability) == ("names no answer of the kind", None)
    unknown = replace(named, calibration=replace(kept, candidates=()))
    elsewhere = unknown.score("Where is Kofu?", "It is in Japan, in Asia.")
    assert elsewhere.unchecked == "read at other tokens than the detector was calibrated on"
    assert elsewhere.probability is None
