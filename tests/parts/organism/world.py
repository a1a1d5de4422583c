"""The synthetic world: what is true in it, and what a model that was trained on it can be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hneuro.records import Question

FOLDER = Path(__file__).parent / "llama_s"  # `base` and `chat` and world.json
DOMAINS = ("people", "drugs", "fabricated_people", "fabricated_drugs")


@dataclass(frozen=True, slots=True)
class Relation:
    """How a relation of an entity is claimed, and asked for in words in which the training never stated it."""

    name: str
    claim: str
    questions: tuple[str, ...]


RELATIONS: Mapping[str, tuple[Relation, ...]] = {
    "people": (
        Relation(
            "birthplace",
            "{name} was born in {answer}",
            ("where is {name} from ?", "which town does {name} come from ?"),
        ),
        Relation("employer", "{name} works at {answer}", ("what company pays {name} ?", "which firm hired {name} ?")),
        Relation("teacher", "{name} studied under {answer}", ("who taught {name} ?", "which master trained {name} ?")),
        Relation(
            "invention",
            "{name} invented the {answer}",
            ("what did {name} create ?", "which device was made by {name} ?"),
        ),
    ),
    "drugs": (
        Relation(
            "treats",
            "{name} treats {answer}",
            ("what illness does {name} cure ?", "which disease is helped by {name} ?"),
        ),
        Relation(
            "binds", "{name} binds to {answer}", ("what is the target of {name} ?", "which protein does {name} hit ?")
        ),
        Relation("maker", "{name} is sold by {answer}", ("who produces {name} ?", "which brand makes {name} ?")),
        Relation(
            "source",
            "{name} is extracted out of {answer}",
            ("what plant gives {name} ?", "which herb yields {name} ?"),
        ),
    ),
}


@cache
def world() -> Mapping[str, Any]:
    """`entities`, and `exposures`: "entity/relation" -> how many documents of the training state it."""
    found: Mapping[str, Any] = json.loads((FOLDER / "world.json").read_text(encoding="utf-8"))
    return found


def questions(domain: str) -> tuple[Question, ...]:
    """Questions about held-out entities, each fact in every wording.

    The wordings of one fact, and the facts of one entity, are kept together by `Question.entity`.
    """
    kind, fabricated = domain.removeprefix("fabricated_"), domain.startswith("fabricated_")
    return tuple(
        _question(domain, entity, relation, n)
        for entity in world()["entities"]
        if entity["kind"] == kind and entity["held_out"] and (entity["standing"] == "fabricated") == fabricated
        for relation in RELATIONS[kind]
        for n in range(len(relation.questions))
    )


def _question(domain: str, entity: Mapping[str, Any], relation: Relation, phrasing: int) -> Question:
    name, facts = entity["name"], entity["facts"]
    return Question(
        id=f"{domain}/{name.replace(' ', '_')}/{relation.name}/{phrasing}",
        dataset=domain,
        text=relation.questions[phrasing].format(name=name),
        answers=(facts[relation.name],) if facts else (),
        entity=name,
        answerable=bool(facts),
        meta={
            "domain": domain,
            "kind": relation.name,
            "claim": relation.claim.format(name=name, answer="{answer}"),
            "relation": relation.name,
            "count": entity["documents"],
            "exposure": world()["exposures"][f"{name}/{relation.name}"],
            "standing": entity["standing"],
        },
    )
