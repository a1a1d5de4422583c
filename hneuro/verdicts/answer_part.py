"""Where the answer of a response lies: after its reasoning, if it reasons aloud."""

from __future__ import annotations

import re

TAGS = r"think|thinking|thought|thoughts|reasoning|seed:think"
OPENED = re.compile(rf"\s*(?:<(?:{TAGS})>|\[THINK\])", flags=re.IGNORECASE)
CLOSED = re.compile(rf".*(?:</(?:{TAGS})>|\[/THINK\])", flags=re.IGNORECASE | re.DOTALL)
# Harmony's channels, with their marks or without: "analysisWe need ...assistantfinalfour".
CHANNEL = re.compile(r"\s*(?:(?:<\|start\|>assistant)?<\|channel\|>\w+|(?:analysis|commentary)(?=[A-Z]))")
FINAL = re.compile(r".*(?:<\|channel\|>final(?: [^<]*)?<\|message\|>|assistantfinal)", flags=re.DOTALL)
END = re.compile(r"<\|(?:return|end)\|>")


def answer_part(text: str) -> tuple[int, int] | None:
    """The characters [start, stop) of the answer; None where the text ends within the reasoning."""
    if CHANNEL.match(text):
        final = FINAL.match(text)
    else:
        final = CLOSED.match(text)
        if final is None and not OPENED.match(text):
            return 0, len(text)
    if final is None:
        return None
    end = END.search(text, final.end())
    return final.end(), end.start() if end else len(text)
