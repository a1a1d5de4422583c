"""The site builds, with every link of every page checked, and fetches nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from texts import MANUAL, ROOT

from hneuro.cli import COMMANDS


def test_the_site_builds_and_has_all_that_can_be_chosen(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="pip install 'hneuro[docs]'")
    subprocess.run([sys.executable, str(ROOT / "scripts" / "docs"), str(tmp_path)], check=True)
    made = {page.stem: page.read_text(encoding="utf-8") for page in (tmp_path / "pages/docs/reference").glob("*.md")}
    assert [name for name in COMMANDS if f"## hneuro {name}\n" not in made["commands"]] == []
    files = [file for file in (ROOT / "conf").rglob("*.yaml") if file.parent.name != "conf"]
    assert [file for file in files if f"### {file.parent.name}={file.stem}\n" not in made["choices"]] == []
    assert "cett(question: str, answer: str = ''," in made["python"]
    assert "- `cett.py`: " in made["code"]
    for page in (tmp_path / "site").rglob("*.html"):
        fetched = re.findall(r"<(?:script|link|img)[^>]* (?:src|href)=\"?(https?://[^\" >]+)", page.read_text("utf-8"))
        assert fetched == [], page


def test_the_site_shows_every_page() -> None:
    config = yaml.safe_load((ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8"))

    def pages(part: object) -> list[str]:
        values = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
        return [part] if isinstance(part, str) else [page for value in values for page in pages(value)]

    assert {str(page.relative_to(ROOT)) for page in MANUAL} <= set(pages(config["nav"]))
