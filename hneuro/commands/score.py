"""What the detector of a run says: `hneuro score` and `watch` of answers, `hneuro calibrate` of another domain's."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hneuro.detector import Answer, Detector
from hneuro.questions.rows import read_rows
from hneuro.records import UserError

CALM, ALARM = (90, 160, 90), (225, 60, 45)  # red, green, blue


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
        if not isinstance(row.get("answer"), str | None):
            raise UserError(f"{file}, row {number}: 'answer' must be text, not {row['answer']!r:.40}")
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


def watch(run_dir: Path, question: str, max_tokens: int) -> int:
    """Prints the answer, each token coloured by its risk as it comes, and what the detector says of it as a whole."""
    if max_tokens < 1:
        raise UserError(f"--max-tokens must be at least 1, not {max_tokens}")
    console, stream = Console(highlight=False), Detector.load(run_dir).stream(question, max_tokens)
    while True:
        try:
            token = next(stream)
        except StopIteration as end:
            said = "unchecked: nothing was said" if end.value is None else verdict(end.value)
            console.print("\n" + said, markup=False)
            return 0
        console.print(Text(harmless(token.text), style=_colour(token.risk)), end="", soft_wrap=True)


def _colour(risk: float) -> str:
    red, green, blue = (round(calm + risk * (alarm - calm)) for calm, alarm in zip(CALM, ALARM, strict=True))
    return f"{'bold ' if risk > 0.5 else ''}rgb({red},{green},{blue})"


def calibrate(run_dir: Path, labels: Path, out: Path | None) -> int:
    """Says how right the probability was and is, and writes the detector to `out`, which `hneuro serve` takes."""
    from hneuro.report.wording import with_interval
    from hneuro.serve.calibrate import calibrate as calibrated

    if out is not None and out.exists():
        raise UserError(f"{out} is there already: name a new folder")
    found = calibrated(Detector.load(run_dir), labels)
    print(f"{found.right} right and {found.wrong} wrong answers, and {found.unread} that the detector cannot read")
    print("\n| probability | ECE | Brier |\n|---|---|---|")
    for name, quality in (("of the run", found.before), ("calibrated, on answers it has not seen", found.after)):
        if quality is not None:
            print(f"| {name} | {' | '.join(with_interval(row) for row in quality)} |")
    if out is not None:
        print(f"\nhneuro serve {found.detector.save(out)}")
    return 0
