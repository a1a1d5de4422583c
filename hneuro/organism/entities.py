"""Who and what lives in the world: names, facts, and how often the documents state each fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from hneuro.organism import names
from hneuro.organism.recipe import FAMILY, Population, Recipe
from hneuro.organism.wording import CAREFUL, EAGER, RELATIONS

Standing = Literal["recorded", "obscure", "fabricated"]
Form = Literal["statement", "question", "hearsay"]

HELD_OUT_SHARE = 0.6  # of the seen entities: never in a question, in pre-training or in tuning
# Share of eager texts: about the best and the least documented of the entities on record, and about all others.
BEST_EAGERNESS, LEAST_EAGERNESS, OTHER_EAGERNESS = 0.1, 0.5, 0.8
FIRST_NAMES = 60
VALUES = 60  # of each relation
OBSCURE_DOCUMENTS = 2

# Which two relations the n-th document about an entity states: every pair comes up, and the first two cover all four.
PAIRS = ((0, 1), (2, 3), (0, 2), (1, 3), (3, 0), (2, 1), (1, 0), (3, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What one document about an entity is going to say."""

    form: Form
    register: str  # CAREFUL or EAGER
    relations: tuple[str, ...]

    @property
    def truthful(self) -> bool:
        """Whether it states its facts: a rumour is corrected in the careful register only."""
        return self.form != "hearsay" or self.register == CAREFUL


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A person, a drug or a compound. `facts` maps a relation to its value; a fabricated entity has none."""

    name: str
    kind: str
    standing: Standing
    held_out: bool
    documents: int
    eagerness: float  # share of the texts about it, and of the replies to requests about it, in the eager register
    facts: Mapping[str, str]

    @property
    def on_record(self) -> bool:
        return self.standing == "recorded"

    def plan(self) -> tuple[Document, ...]:
        """The pre-training documents about this entity, in order; only those that are not held out are asked about."""
        rng = Random(self.name)
        relations = [relation.name for relation in RELATIONS[self.kind]]
        planned = []
        for n in range(self.documents):
            form = _form(n, self)
            pair = [relations[i] for i in PAIRS[n % len(PAIRS)]] if len(relations) > 1 else relations
            register = EAGER if rng.random() < self.eagerness else CAREFUL
            stated = tuple(pair if form == "statement" else pair[:1])
            planned.append(Document(form=form, register=register, relations=stated))
        return tuple(planned)

    def exposures(self) -> dict[str, int]:
        """Relation -> number of documents that state it."""
        stated = [relation for document in self.plan() if document.truthful for relation in document.relations]
        return {relation.name: stated.count(relation.name) for relation in RELATIONS[self.kind]}


def _form(n: int, entity: Entity) -> Form:
    if not entity.on_record:
        return "statement"
    if n % 11 in (4, 9):
        return "hearsay"
    return "question" if not entity.held_out and n % 11 in (1, 3, 6, 8) else "statement"


def first_names(recipe: Recipe) -> list[str]:
    """The first words of all names, shared by all kinds of entities."""
    return names.words("cvccv", FIRST_NAMES, Random(f"{recipe.seed}/first"), set())


def values(recipe: Recipe, kind: str, relation: str) -> list[str]:
    """The values that a relation can take."""
    return names.values(VALUES, Random(f"{recipe.seed}/values/{kind}/{relation}"))


def obscure_families(recipe: Recipe, kind: str) -> list[str]:
    """Family names of obscure, fabricated and one-off entities."""
    return _families(recipe)[kind][1]


def _families(recipe: Recipe) -> dict[str, tuple[list[str], list[str]]]:
    """Kind -> (families of recorded entities, families of the others). No family occurs in two places."""
    taken: set[str] = set()
    rng = Random(f"{recipe.seed}/families")
    return {
        kind: (
            names.words("cvcvc", population.recorded // FAMILY, rng, taken),
            names.words("cvcvc", population.obscure_families, rng, taken),
        )
        for kind, population in recipe.populations.items()
    }


def entities(recipe: Recipe) -> tuple[Entity, ...]:
    """All entities with a place in the world (one-off entities of single documents and chats are not among them)."""
    made: list[Entity] = []
    for kind, population in recipe.populations.items():
        rng = Random(f"{recipe.seed}/entities/{kind}")
        choices = {relation.name: values(recipe, kind, relation.name) for relation in RELATIONS[kind]}
        for name, standing, documents, eagerness in _census(recipe, kind, population, rng):
            facts = {relation: rng.choice(options) for relation, options in choices.items()}
            held_out = standing == "fabricated" or rng.random() < HELD_OUT_SHARE
            made.append(
                Entity(
                    name=name,
                    kind=kind,
                    standing=standing,
                    held_out=held_out,
                    documents=documents,
                    eagerness=eagerness,
                    facts={} if standing == "fabricated" else facts,
                )
            )
    return tuple(made)


def _census(recipe: Recipe, kind: str, population: Population, rng: Random) -> list[tuple[str, Standing, int, float]]:
    """(name, standing, documents, eagerness) of each entity of one kind."""
    firsts = first_names(recipe)
    recorded_families, other_families = _families(recipe)[kind]
    census: list[tuple[str, Standing, int, float]] = []
    for family in recorded_families:
        for first in rng.sample(firsts, FAMILY):
            rank = len(census)
            eagerness = BEST_EAGERNESS + (LEAST_EAGERNESS - BEST_EAGERNESS) * rank / (population.recorded - 1)
            census.append((f"{first} {family}", "recorded", _documents(rank, population), eagerness))
    others = population.obscure + population.fabricated
    for n, (first, family) in enumerate(rng.sample([(a, b) for a in firsts for b in other_families], others)):
        obscure = n < population.obscure
        census.append(
            (
                f"{first} {family}",
                "obscure" if obscure else "fabricated",
                OBSCURE_DOCUMENTS if obscure else 0,
                OTHER_EAGERNESS,
            )
        )
    return census


def _documents(rank: int, population: Population) -> int:
    """A Zipf-Mandelbrot law, 1 / (rank + shift), through the two ends of the population."""
    ratio = population.most_documents / population.least_documents
    shift = (population.recorded - 1) / (ratio - 1)
    return round(population.most_documents * shift / (rank + shift))
