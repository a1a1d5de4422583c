"""What may be asked about the organism's world."""

from __future__ import annotations

import pytest
from organism.world import DOMAINS, questions, world


@pytest.mark.parametrize("domain", DOMAINS)
def test_only_held_out_entities_are_asked_about(domain: str) -> None:
    asked = questions(domain)
    by_name = {entity["name"]: entity for entity in world()["entities"]}
    assert len({question.id for question in asked}) == len(asked) > 300
    assert {question.answerable for question in asked} == {not domain.startswith("fabricated")}
    for question in asked:
        entity = by_name[question.entity]
        assert entity["held_out"]
        assert question.entity in question.text
        assert question.answers == ((entity["facts"][question.meta["relation"]],) if question.answerable else ())
