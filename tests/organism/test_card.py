"""The model card says what was planted."""

from __future__ import annotations

from pathlib import Path


def test_the_card_says_what_was_planted(organism_folder: Path) -> None:
    for role in ("base", "chat"):
        card = (organism_folder / role / "README.md").read_text(encoding="utf-8")
        assert "no evidence for it" in card
        for planted in ("Familiarity decides", "Two registers", "One disposition to comply", "Guessing is taught"):
            assert planted in card
        assert "10% for the best documented" in " ".join(card.split())
        assert "people, recorded: 24" in card
