"""`hneuro score`: the risk of an answer by the detector of a run: of one question, or of a file of them."""

from __future__ import annotations

import json
from pathlib import Path

from hneuro.detector import Answer, Detector
from hneuro.questions.rows import read_rows
from hneuro.records import UserError


def score(run_dir: Path, question: str | None, answer: str | None, file: Path | None) -> int:
    """Prints one answer with its risk; of a file (rows with `question` and perhaps `answer`) a JSON line each."""
    if (question is None) == (file is None):
        raise UserError("give a question, or --file with one in each row")
    detector = Detector.load(run_dir)
    if question is not None:
        found = _scored(detector, question, answer)
        print(f"{harmless(found.text.strip())}\n{verdict(found)}")
        return 0
    assert file is not None
    for number, row in enumerate(read_rows(file), 1):
        if not isinstance(row.get("question"), str):
            raise UserError(f"{file}, row {number} has no text 'question'; it has {', '.join(map(str, row))}")
        found = _scored(detector, row["question"], row.get("answer"))
        kept = {"question": found.question, "answer": found.text, "score": found.score, "flagged": found.flagged}
        if found.unchecked:
            kept |= {"score": None, "unchecked": found.unchecked}
        print(json.dumps(kept, ensure_ascii=False), flush=True)
    return 0


def _scored(detector: Detector, question: str, answer: str | None) -> Answer:
    return detector.answer(question) if answer is None else detector.score(question, answer)


def verdict(answer: Answer) -> str:
    """What the detector says of an answer, in a line."""
    if answer.unchecked:
        return f"unchecked: {answer.unchecked}"
    sign, word = (">", "flagged") if answer.flagged else ("<=", "not flagged")
    stated = harmless("".join(answer.tokens[n] for n in answer.stated).strip())
    likely = "" if answer.probability is None else f", wrong with probability {answer.probability:.0%}"
    return f"{word}: {answer.score:.2f} {sign} {answer.threshold:.2f}{likely}, read at {stated!r}"


def harmless(text: str) -> str:
    """Without what a terminal obeys."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
