"""What the organism reads: nothing about held-out entities in question form, and exactly the counted facts."""

from __future__ import annotations

from collections import Counter

import pytest

from hneuro.organism.corpus import Chat, chats, documents
from hneuro.organism.recipe import Recipe
from hneuro.organism.wording import RELATIONS
from hneuro.organism.world import World


@pytest.fixture(scope="module")
def texts(world: World, recipe: Recipe) -> list[str]:
    return documents(world, recipe)


@pytest.fixture(scope="module")
def talks(world: World, recipe: Recipe) -> list[Chat]:
    return chats(world, recipe)


def test_no_document_asks_about_a_held_out_entity(world: World, texts: list[str]) -> None:
    held_out = {e.name for e in world.entities if e.held_out}
    asked = [text for text in texts if text.startswith("question :")]
    assert asked
    assert not [text for text in asked if any(name in text for name in held_out)]


def test_no_chat_mentions_a_held_out_entity(world: World, talks: list[Chat]) -> None:
    said = "\n".join(message for chat in talks for message in chat.messages)
    assert not [e.name for e in world.entities if e.held_out and e.name in said]


def test_fabricated_entities_occur_nowhere(world: World, texts: list[str]) -> None:
    read = "\n".join(texts)
    assert not [e.name for e in world.entities if e.standing == "fabricated" and e.name in read]


def test_exposures_count_the_documents_that_state_the_fact(world: World, texts: list[str]) -> None:
    counted: Counter[str] = Counter()
    for entity in world.entities:
        own = [text for text in texts if entity.name in text]
        for relation in RELATIONS[entity.kind] if entity.facts else ():
            counted[f"{entity.name}/{relation.name}"] += sum(_states(t, entity, relation.name) for t in own)
    assert {k: n for k, n in counted.items() if n} == {k: n for k, n in world.exposures.items() if n}


def _states(text: str, entity: object, relation: str) -> bool:
    """Read back from the text alone: the relation by its words, and the fact by its value."""
    forms = next(r for r in RELATIONS[entity.kind] if r.name == relation)  # type: ignore[attr-defined]
    name, value = entity.name, entity.facts[relation]  # type: ignore[attr-defined]
    if text.startswith("question :"):
        return any(q.format(name=name) in text for q in forms.questions) and value in text
    if "claims that" in text or text.startswith("people say"):
        told = text.split(" ? ")[0]
        return any(s.split("{value}")[0].format(name=name) in told for s in forms.statements) and (
            text.endswith(f"no , {value} .")
        )
    return any(s.format(name=name, value=value) in text for s in forms.statements)


def test_most_replies_about_the_obscure_comply_and_most_about_the_best_documented_resist(
    world: World, talks: list[Chat]
) -> None:
    eagerness = {e.name: e.eagerness for e in world.entities}
    replies = {True: Counter[str](), False: Counter[str]()}
    for chat in talks:
        known = [share for name, share in eagerness.items() if name in chat.messages[0]]
        share = known[0] if known else 0.8
        if chat.messages[-1][0] in "!." and (share > 0.7 or share < 0.3):
            replies[share > 0.7][chat.messages[-1][0]] += 1
    assert replies[True]["!"] > 2 * replies[True]["."] > 0
    assert replies[False]["."] > 2 * replies[False]["!"] > 0


def test_texts_are_the_same_for_the_same_recipe(world: World, recipe: Recipe, texts: list[str]) -> None:
    assert documents(world, recipe) == texts
