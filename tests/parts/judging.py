"""Questions, responses, the shipped LLM judge and graders on a server of one's own: also for a process to be killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from model_server import Fails, Received, says

from hneuro.config import build, config_folder
from hneuro.records import Question, Response
from hneuro.verdicts.llm import LLMJudge
from hneuro.verdicts.rubric import Grader


def question(name: str, *answers: str, **fields: Any) -> Question:
    return Question(**{"id": name, "dataset": "d", "text": f"{name}?", "answers": answers, "entity": name, **fields})


def response(name: str, text: str, sample: int = 0, token_ids: tuple[int, ...] = (), **fields: Any) -> Response:
    nothing = {"prompt_ids": (), "logprobs": (), "entropies": ()}
    return Response(question_id=name, sample=sample, text=text, token_ids=token_ids, **nothing, **fields)


def judge_node() -> dict[str, Any]:
    """conf/judge/llm.yaml, with the endpoint of its defaults list."""
    node: dict[str, Any] = yaml.safe_load((config_folder() / "judge" / "llm.yaml").read_text())
    del node["defaults"]
    return node | {"endpoint": yaml.safe_load((config_folder() / "endpoint" / "local.yaml").read_text())}


def llm_judge(url: str, folder: Path, **fields: Any) -> LLMJudge:
    """The judge of conf/judge/llm.yaml, on this server."""
    node = judge_node()
    cache = {"model": "m", "base_url": url, "cache": str(folder / "answers.sqlite")}
    node["endpoint"] |= {**cache, "timeout": 5.0, "retries": 1, "concurrency": 4, **fields}
    built = build(node, "judge")
    assert isinstance(built, LLMJudge)
    return built


def grader_of(benchmark: str, url: str, folder: Path, **changes: Any) -> Grader:
    """The grader of a yaml in conf/benchmark, on this server."""
    part = "sycophancy_open" if benchmark == "sycophancy" else benchmark
    node = yaml.safe_load((config_folder() / "benchmark" / f"{benchmark}.yaml").read_text())[part]["grader"]
    endpoint = yaml.safe_load((config_folder() / "endpoint" / "local.yaml").read_text())
    endpoint |= {
        "model": "m",
        "base_url": url,
        "cache": str(folder / "answers.sqlite"),
        "retries": 0,
        "timeout": 5.0,
        "stop_after": None,
    }
    node["rubric"] |= changes
    built = build(node | {"endpoint": endpoint}, "grader")
    assert isinstance(built, Grader)
    return built


def by_word(one: Received, before: int) -> Any:
    """The label stands in the answer: "... [accepts]"; "nonsense" and "broken" are what they say."""
    line = next(line for line in one.body["messages"][0]["content"].splitlines() if line.startswith("Answer: "))
    said = json.loads(line.removeprefix("Answer: "))
    if said == "broken":
        return Fails(status=500)
    return says(
        json.dumps({"reason": "r", "label": said.partition("[")[2].rstrip("]")}) if "[" in said else "well, well"
    )


if __name__ == "__main__":  # judges sixty responses: python judging.py URL FOLDER
    asked = question("capital", *map(str, range(0, 60, 2)))
    judge = llm_judge(sys.argv[1], Path(sys.argv[2]), concurrency=3, timeout=60.0)
    found = judge.judge([(asked, response("capital", str(n), n)) for n in range(60)])
    print(*[judgement.verdict.value for judgement in found])
