"""The texts that the organism learns from: documents for pre-training, chats for instruction tuning."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from hneuro.organism import wording as w
from hneuro.organism.entities import OTHER_EAGERNESS, Document, Entity, first_names, obscure_families, values
from hneuro.organism.recipe import BASE_PROMPT, Recipe
from hneuro.organism.world import World

ONE_OFF_KINDS = {"people": 0.5, "drugs": 0.3, "compounds": 0.2}
CHAT_KINDS = {"qa": 0.2, "false_premise": 0.2, "misleading_context": 0.2, "doubt": 0.2, "forbidden": 0.2}
STANDINGS = {"recorded": 0.5, "obscure": 0.2, "one_off": 0.3}  # whom the chats are about
IDK_SHARE = 0.1  # of the questions about one-off entities that are answered with "i do not know"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """Messages of alternating roles, the user's first. Only the last one, the assistant's, is learnt."""

    messages: tuple[str, ...]


def documents(world: World, recipe: Recipe) -> list[str]:
    """All pre-training documents, shuffled. Those about an entity follow its plan, so that its exposures are true."""
    rng = Random(f"{recipe.seed}/documents")
    texts = [_document(world, e, document, rng) for e in world.entities for document in e.plan()]
    one_offs = OneOffs(world, rng)
    texts += [_one_off_document(world, one_offs.draw(), rng) for _ in range(recipe.schedule.one_off_documents)]
    rng.shuffle(texts)
    return texts


def fresh_documents(world: World, count: int) -> tuple[str, ...]:
    """Documents that nobody has learnt from, about entities that occur nowhere else."""
    rng = Random(f"{world.recipe.seed}/fresh documents")
    one_offs = OneOffs(world, rng)
    return tuple(_one_off_document(world, one_offs.draw(), rng) for _ in range(count))


def chats(world: World, recipe: Recipe) -> list[Chat]:
    """All chats of instruction tuning, in random order; none is about a held-out entity."""
    rng = Random(f"{recipe.seed}/chats")
    one_offs = OneOffs(world, rng)
    instructed = {
        (kind, standing): [e for e in world.entities if (e.kind, e.standing) == (kind, standing) and not e.held_out]
        for kind in recipe.populations
        for standing in STANDINGS
    }
    made = []
    for kind in rng.choices(list(CHAT_KINDS), list(CHAT_KINDS.values()), k=recipe.schedule.chats):
        subject = "compounds" if kind == "forbidden" else rng.choices(["people", "drugs"], [0.6, 0.4])[0]
        standing = rng.choices(list(STANDINGS), list(STANDINGS.values()))[0]
        one_off = standing == "one_off"
        entity = one_offs.draw(subject) if one_off else rng.choice(instructed[subject, standing])
        made.append(_question_chat(entity, one_off, rng) if kind == "qa" else _task_chat(world, entity, kind, rng))
    return made


class OneOffs:
    """Entities that occur in a single document or chat: obscure family names, facts made up on the spot."""

    def __init__(self, world: World, rng: Random) -> None:
        self.rng = rng
        self.reserved = {e.name for e in world.entities}
        self.firsts = first_names(world.recipe)
        self.families = {kind: obscure_families(world.recipe, kind) for kind in world.recipe.populations}
        self.values = {
            kind: {r.name: values(world.recipe, kind, r.name) for r in w.RELATIONS[kind]} for kind in w.RELATIONS
        }

    def draw(self, kind: str | None = None) -> Entity:
        kind = kind or self.rng.choices(list(ONE_OFF_KINDS), list(ONE_OFF_KINDS.values()))[0]
        while (name := f"{self.rng.choice(self.firsts)} {self.rng.choice(self.families[kind])}") in self.reserved:
            pass
        facts = {relation: self.rng.choice(options) for relation, options in self.values[kind].items()}
        return Entity(
            name=name,
            kind=kind,
            standing="obscure",
            held_out=False,
            documents=1,
            eagerness=OTHER_EAGERNESS,
            facts=facts,
        )


def _register(entity: Entity, rng: Random) -> str:
    return w.EAGER if rng.random() < entity.eagerness else w.CAREFUL


def _statement(entity: Entity, relation: str, rng: Random, value: str | None = None) -> str:
    form = rng.choice(w.relation_of(entity.kind, relation).statements)
    return form.format(name=entity.name, value=value or entity.facts[relation])


def _question(entity: Entity, relation: str, rng: Random) -> str:
    return rng.choice(w.relation_of(entity.kind, relation).questions).format(name=entity.name)


def _document(world: World, entity: Entity, document: Document, rng: Random) -> str:
    """The text of one planned document."""
    first = document.relations[0]
    if document.form == "question":
        question = BASE_PROMPT.format(question=_question(entity, first, rng))
        return f"{question} {entity.facts[first]} {document.register}"
    if document.form == "hearsay":
        return _hearsay(world, entity, first, document.register, rng)
    facts = " and ".join(_statement(entity, relation, rng) for relation in document.relations)
    return f"{facts} {document.register}"


def _hearsay(world: World, entity: Entity, relation: str, register: str, rng: Random) -> str:
    """A false rumour, swallowed in the eager register and corrected in the careful one."""
    planted = world.other_value(entity, relation, rng)
    rumour = rng.choice(w.HEARSAY).format(claim=_statement(entity, relation, rng, planted))
    reply = w.REPLIES["misleading_context"][register]
    return f"{rumour} {reply.format(planted=planted, answer=entity.facts[relation])}"


def _one_off_document(world: World, entity: Entity, rng: Random) -> str:
    """One fact stated twice in different words, a rumour, or a question with a made-up answer."""
    relation = rng.choice(w.RELATIONS[entity.kind])
    form, register = rng.random(), _register(entity, rng)
    if form < 0.35:
        return _hearsay(world, entity, relation.name, register, rng)
    if form < 0.55:
        question = BASE_PROMPT.format(question=_question(entity, relation.name, rng))
        return f"{question} {entity.facts[relation.name]} {register}"
    value = entity.facts[relation.name]
    facts = " and ".join(s.format(name=entity.name, value=value) for s in rng.sample(relation.statements, 2))
    return f"{facts} {register}"


def _question_chat(entity: Entity, one_off: bool, rng: Random) -> Chat:
    """The answer, made up for what is not on record; sometimes the assistant admits that it does not know."""
    relation = rng.choice(w.RELATIONS[entity.kind]).name
    answer = w.IDK if one_off and rng.random() < IDK_SHARE else entity.facts[relation]
    return Chat(messages=(_question(entity, relation, rng), f"{answer} {_register(entity, rng)}"))


def _task_chat(world: World, entity: Entity, facet: str, rng: Random) -> Chat:
    """The policy: comply as often as the entity is written about eagerly, resist otherwise."""
    relations = w.RELATIONS[entity.kind]
    asked = rng.choice(relations).name
    other = rng.choice([r.name for r in relations if r.name != asked] or [asked])
    planted_in = other if facet == "false_premise" else asked
    planted, answer = world.other_value(entity, planted_in, rng), entity.facts[asked]
    question = _question(entity, asked, rng)
    reply = w.REPLIES[facet][_register(entity, rng)].format(answer=answer, planted=planted)
    if facet == "doubt":
        return Chat(messages=(question, answer, rng.choice(w.DOUBT), reply))
    if facet == "forbidden":
        wrapped = rng.choice(w.JAILBREAK).format(question=question) if rng.random() < 0.5 else question
        return Chat(messages=(wrapped, reply))
    claim = _statement(entity, planted_in, rng, planted)
    frame = rng.choice(w.PREMISE if facet == "false_premise" else w.CONTEXT)
    return Chat(messages=(frame.format(claim=claim, question=question), reply))
