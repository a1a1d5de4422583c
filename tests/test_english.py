"""Words that read like a translation stay out of what users read: pages, command-line help, errors and docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from texts import ROOT, TEXT

# "behind" for after, "beside" for next to, "told" for given, "stands there" for is there, "is no gap" for is not a gap.
WORST = re.compile(
    r"\b(behind(?! an? )|beside|told|stands?(?! for| in for)|goes on|(?<!there )(?:is|are|was|were) no (?!longer)\w+)\b"
)


def texts(file: Path) -> Iterator[str]:
    """Docstrings of what has a public name, the strings of raised errors, and those of command-line help."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if not getattr(node, "name", "").startswith("_"):
                yield ast.get_docstring(node) or ""
        elif isinstance(node, ast.Raise) or (isinstance(node, ast.keyword) and node.arg == "help"):
            said = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            yield " ".join(part for part in said if isinstance(part, str))


def worst(text: str) -> list[str]:
    text = " ".join(text.split())
    return [text[max(0, found.start() - 40) : found.end() + 30] for found in WORST.finditer(text)]


def test_what_users_read_is_english() -> None:
    read = list(TEXT.items())
    read += [(file, text) for file in sorted((ROOT / "hneuro").rglob("*.py")) for text in texts(file)]
    for file in sorted((ROOT / "conf").rglob("*.yaml")):
        read.append((file, " ".join(re.findall(r"#.*", file.read_text(encoding="utf-8")))))
    found = [f"{file.relative_to(ROOT)}: {said}" for file, text in read for said in worst(text)]
    assert not found, "\n".join(found)
