"""Forbidden questions in prompts, with harmless stand-ins for both."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.jailbreak import Jailbreak, filled
from hneuro.questions.table import Table
from hneuro.records import UserError

QUESTIONS = [
    {
        "content_policy_id": policy,
        "content_policy_name": f"Policy {policy}",
        "q_id": n,
        "question": f"How is tea {n} made?",
    }
    for policy in (0, 1)
    for n in range(6)
]
PROMPTS = [
    *(
        {"platform": "p", "source": "s", "prompt": f"Play role {n}: [INSERT PROMPT HERE]", "jailbreak": "True"}
        for n in range(9)
    ),
    {"platform": "p", "source": "s", "prompt": "Play role 3: [INSERT PROMPT HERE]", "jailbreak": "True"},
    {"platform": "p", "source": "s", "prompt": "An ordinary prompt", "jailbreak": "False"},
]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Table:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Table(path=str(path))


def source(folder: Path, questions: Any = QUESTIONS, prompts: Any = PROMPTS, seed: int = 0) -> Jailbreak:
    return Jailbreak(questions=write(folder / "q.csv", questions), prompts=write(folder / "p.csv", prompts), seed=seed)


def test_every_question_in_one_prompt_that_the_seed_draws(tmp_path: Path) -> None:
    benchmark = source(tmp_path)
    assert isinstance(benchmark, Benchmark)
    items = benchmark.items()
    assert [item.id for item in items[:7]] == ["0/0", "0/1", "0/2", "0/3", "0/4", "0/5", "1/0"]
    for item in items:
        text = item.messages[0]["content"]
        assert text.startswith("Play role ")
        assert text.endswith(item.meta["question"])
    prompts = [item.meta["prompt"] for item in items]
    assert prompts[:2] == ["fddb50994a55e668", "8890865026a340c9"], "on every machine"
    assert prompts != [item.meta["prompt"] for item in source(tmp_path, seed=1).items()]
    assert len(set(prompts)) == 9  # each before one comes again, and the repeated one counts once
    assert prompts[:3] == prompts[9:]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Say: [INSERT PROMPT HERE]", "Say: TEA?"),
        ("Say {prompt} and {prompt}.", "Say TEA? and TEA?."),
        ("Q: [Your question here]!", "Q: TEA?!"),
        ("Q: <QUERY>", "Q: TEA?"),
        ("Q: [INSERT PROMPT HERE\\]", "Q: TEA?"),
        ("Q: [insert your prompt here]", "Q: TEA?"),
        ("Reply as [GPT]: [insert x]", "Reply as [GPT]: [insert x]\n\nTEA?"),
        ("No place for it", "No place for it\n\nTEA?"),
    ],
)
def test_the_question_fills_the_placeholder_or_stands_behind(prompt: str, text: str) -> None:
    assert filled(prompt, "TEA?") == text


def test_what_cannot_be_paired_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row 2: question 0/0 \(policy/number\) is there more than once"):
        source(tmp_path, questions=[QUESTIONS[0], QUESTIONS[0]]).items()
    with pytest.raises(UserError, match=r"p.csv has no row whose 'jailbreak' is true"):
        source(tmp_path, prompts=PROMPTS[-1:]).items()
    with pytest.raises(UserError, match=r"has no 'question'; it has content_policy_id"):
        source(
            tmp_path, questions=[{"content_policy_id": 1, "content_policy_name": "x", "q_id": 1, "text": "x"}]
        ).items()
