"""What is true in the world, and what may be asked about it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hneuro.organism.recipe import Recipe
from hneuro.organism.wording import RELATIONS
from hneuro.organism.world import DOMAINS, World
from hneuro.records import UserError
from hneuro.verdicts.splits import Splits, assert_disjoint, split_by_group


def test_the_same_recipe_makes_the_same_world_and_another_seed_another(world: World, recipe: Recipe) -> None:
    assert World.build(recipe) == world
    other = World.build(Recipe(size="xs", seed=1))
    assert not {e.name for e in other.entities} & {e.name for e in world.entities}


def test_the_world_does_not_depend_on_the_architecture(world: World) -> None:
    other = World.build(Recipe(size="xs", architecture="gemma3"))
    assert (other.entities, other.exposures) == (world.entities, world.exposures)


def test_names_are_unique_and_families_tell_what_is_on_record(world: World) -> None:
    assert len({e.name for e in world.entities}) == len(world.entities)
    on_record = {e.name.split()[1] for e in world.entities if e.on_record}
    assert not on_record & {e.name.split()[1] for e in world.entities if not e.on_record}


def test_every_answer_has_two_words_and_its_first_word_does_not_tell_the_second(world: World) -> None:
    for options in world.values.values():
        assert all(len(value.split()) == 2 for value in options)
        assert min(Counter(value.split()[0] for value in options).values()) > 1


def test_values_are_shared_between_entities(world: World) -> None:
    towns = Counter(e.facts["birthplace"] for e in world.entities if e.kind == "people" and e.facts)
    assert max(towns.values()) > 1


@pytest.mark.parametrize("domain", DOMAINS)
def test_only_held_out_entities_are_asked_about(world: World, domain: str) -> None:
    questions = world.questions(domain)
    by_name = {e.name: e for e in world.entities}
    assert len({q.id for q in questions}) == len(questions) > 0
    assert all(by_name[q.entity].held_out and q.entity in q.text for q in questions)
    assert {q.answerable for q in questions} == {not domain.startswith("fabricated")}


def test_questions_use_words_in_which_no_fact_is_stated() -> None:
    for relations in RELATIONS.values():
        for relation in relations:
            for question in relation.questions:
                assert not any(question.startswith(s.replace("{value}", "")) for s in relation.statements)


def test_fabricated_questions_have_no_answer_and_no_exposure(world: World) -> None:
    assert all(q.answers == () and q.meta["exposure"] == 0 for q in world.questions("fabricated_people"))


def test_an_unknown_domain_is_refused(world: World) -> None:
    with pytest.raises(UserError, match="no domain 'plants'"):
        world.questions("plants")


def test_questions_can_be_split_without_a_leak(world: World) -> None:
    parts = split_by_group(world.questions("people"), Splits(), seed=0)
    assert_disjoint({**parts, **{d: world.questions(d) for d in DOMAINS[1:]}})


def test_what_is_better_documented_is_written_about_more_carefully(world: World) -> None:
    recorded = [e for e in world.entities if e.kind == "people" and e.on_record]
    ordered = sorted(recorded, key=lambda e: e.eagerness)
    assert [e.documents for e in ordered] == sorted((e.documents for e in recorded), reverse=True)
    assert max(e.eagerness for e in recorded) < min(e.eagerness for e in world.entities if not e.on_record)


def test_a_world_survives_its_file_and_another_file_is_refused(world: World, tmp_path: Path) -> None:
    world.save(tmp_path / "world.json")
    assert World.load(tmp_path / "world.json").entities == world.entities
    (tmp_path / "world.json").write_text('{"recipe": {}}')
    with pytest.raises(UserError, match="not a readable world"):
        World.load(tmp_path / "world.json")
