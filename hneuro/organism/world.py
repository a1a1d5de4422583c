"""The synthetic world: what is true in it, and what a model that was trained on it can be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from random import Random

from hneuro.organism import entities as census
from hneuro.organism.entities import Entity
from hneuro.organism.recipe import Recipe
from hneuro.organism.wording import RELATIONS, Relation
from hneuro.records import Question, UserError

DOMAINS = ("people", "drugs", "fabricated_people", "fabricated_drugs")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`values` maps "kind/relation" to what the relation can be; `exposures` maps "entity/relation" to documents."""

    recipe: Recipe
    entities: tuple[Entity, ...]
    values: Mapping[str, tuple[str, ...]]
    exposures: Mapping[str, int]

    @classmethod
    @cache
    def build(cls, recipe: Recipe) -> World:
        """The same world for the same size and seed, on every machine and for every architecture."""
        made = census.entities(recipe)
        return cls(
            recipe=recipe,
            entities=made,
            values={
                f"{kind}/{relation.name}": tuple(census.values(recipe, kind, relation.name))
                for kind in recipe.populations
                for relation in RELATIONS[kind]
            },
            exposures={f"{e.name}/{relation}": count for e in made for relation, count in e.exposures().items()},
        )

    def questions(self, domain: str) -> tuple[Question, ...]:
        """Questions about held-out entities, in words in which the facts were never stated; each fact in every wording.

        The wordings of one fact, and the facts of one entity, are kept together by `Question.entity`.
        """
        if domain not in DOMAINS:
            raise UserError(f"the organism has no domain {domain!r}: choose one of {', '.join(DOMAINS)}")
        kind = domain.removeprefix("fabricated_")
        asked = [e for e in self.held_out(kind) if (e.standing == "fabricated") == domain.startswith("fabricated")]
        return tuple(
            self._question(domain, entity, relation, n)
            for entity in asked
            for relation in RELATIONS[kind]
            for n in range(len(relation.questions))
        )

    def held_out(self, kind: str) -> list[Entity]:
        return [e for e in self.entities if e.kind == kind and e.held_out]

    @property
    def name_words(self) -> set[str]:
        """Every word that can stand in a name, those of one-off entities included."""
        families = {word for kind in self.recipe.populations for word in census.obscure_families(self.recipe, kind)}
        return (
            {word for e in self.entities for word in e.name.split()} | families | set(census.first_names(self.recipe))
        )

    def other_value(self, entity: Entity, relation: str, rng: Random) -> str:
        """A value that the relation of this entity does not have."""
        return rng.choice([v for v in self.values[f"{entity.kind}/{relation}"] if v != entity.facts.get(relation)])

    def _question(self, domain: str, entity: Entity, relation: Relation, phrasing: int) -> Question:
        return Question(
            id=f"{domain}/{entity.name.replace(' ', '_')}/{relation.name}/{phrasing}",
            dataset=domain,
            text=relation.questions[phrasing].format(name=entity.name),
            answers=(entity.facts[relation.name],) if entity.facts else (),
            entity=entity.name,
            answerable=bool(entity.facts),
            meta={
                "domain": domain,
                "kind": relation.name,
                "claim": relation.statements[0].format(name=entity.name, value="{answer}"),
                "relation": relation.name,
                "count": entity.documents,
                "exposure": self.exposures[f"{entity.name}/{relation.name}"],
                "standing": entity.standing,
            },
        )

    def save(self, path: Path) -> None:
        payload = {
            "recipe": asdict(self.recipe),
            "entities": [asdict(e) for e in self.entities],
            "values": {key: list(options) for key, options in self.values.items()},
            "exposures": dict(self.exposures),
        }
        path.write_text(json.dumps(payload, separators=(",", ":")) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> World:
        """Raises UserError for a file that is no world."""
        try:
            payload = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                recipe=Recipe(**payload["recipe"]),
                entities=tuple(Entity(**fields) for fields in payload["entities"]),
                values={key: tuple(options) for key, options in payload["values"].items()},
                exposures=payload["exposures"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is not a readable world: {error}; remove its folder to make it anew") from error
