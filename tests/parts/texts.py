"""The pages that people read, and the commands and code in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# The commands of the lab's template need its package: tests/test_lab_template.py runs them.
EXPERIMENTS = [page for page in (ROOT / "experiments").rglob("*.md") if "lab_template" not in page.parts]
MANUAL = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [*MANUAL, ROOT / "CONTRIBUTING.md", *sorted(EXPERIMENTS)]
TEXT = {page: re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8")) for page in PAGES}  # a command is one line
SHOWN = "\n".join(TEXT.values())


def blocks(language: str) -> list[str]:
    """What is between ```language and ``` in any of them."""
    return re.findall(rf"^```{language}\n(.*?)^```$", SHOWN, re.MULTILINE | re.DOTALL)


def lines(pattern: str) -> list[str]:
    """Command lines that begin like this, in blocks, tables or sentences."""
    return sorted({found.strip() for found in re.findall(rf"{pattern}[^`\n]*", SHOWN)})
