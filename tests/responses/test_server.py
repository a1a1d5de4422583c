"""The server sampler against servers of several kinds, with the tokens of a real tokenizer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from model_server import Answer, Fails, ModelServer, Received, Says, model_server

from hneuro.endpoint.client import Endpoint
from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, Response, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import Sampler
from hneuro.responses.server import ServerSampler

QUESTIONS = [
    Question(id=f"q{n}", dataset="tiny", text=text, answers=("x",), entity=str(n))
    for n, text in enumerate(["Who wrote Hamlet?", "Où est l’île?", "Why?"])
]


def sampler(server: ModelServer, folder: Path, **fields: Any) -> ServerSampler:
    endpoint = Endpoint(
        model="served", base_url=server.url, cache=str(folder / "answers.sqlite"), retries=0, timeout=5.0
    )
    made = ServerSampler(**{"endpoint": endpoint, "samples": 3, "decoding": Decoding(max_new_tokens=9), **fields})
    assert isinstance(made, Sampler)
    return made


def said(seed: int) -> str:
    return f"answer {seed % 1000}, dé\u0301jà"


def ids(model: LanguageModel, text: str) -> list[int]:
    return list(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def usage(model: LanguageModel, one: Received) -> dict[str, int]:
    prompt = one.body["prompt"]
    read = len(prompt) if isinstance(prompt, list) else len(model.tokenizer(prompt)["input_ids"])
    return {"prompt_tokens": read, "completion_tokens": 5}


def vllm(model: LanguageModel, one: Received) -> Says:
    """All that one can ask for: ids in, ids and log-probabilities out, n samples, the end of the turn among them."""
    choices = []
    for n in range(one.body.get("n", 1)):
        text = said(one.body.get("seed", 0) + n)
        tokens = [*ids(model, text), model.tokenizer.eos_token_id]
        printed = [model.tokenizer.decode([token]) for token in tokens]
        logprobs = {"tokens": printed, "token_logprobs": [-0.5 * k - 0.25 for k in range(len(tokens))]}
        choices.append({"text": text, "token_ids": tokens, "logprobs": logprobs})
    return Says(choices=tuple(choices), usage=usage(model, one))


def plain(model: LanguageModel, one: Received) -> Says:
    """Texts alone."""
    texts = tuple(said(one.body.get("seed", 0) + n) for n in range(one.body.get("n", 1)))
    return Says(choices=texts, usage=None)


def test_everything_that_vllm_tells_is_kept(language_model: LanguageModel, tmp_path: Path) -> None:
    with model_server(lambda one, _: vllm(language_model, one)) as server:
        made = sampler(server, tmp_path).sample(language_model, QUESTIONS, 3, seed=7)
        assert len(server.received) == 3
        again = sampler(server, tmp_path).sample(language_model, QUESTIONS, 3, seed=7)
        assert (again, len(server.received)) == (made, 3)
        bodies = {tuple(body["prompt"]): body for body in server.bodies()}
        other = sampler(server, tmp_path).sample(language_model, QUESTIONS[:1], 3, seed=8)
        assert other[0].text != made[0].text
    assert [(r.question_id, r.sample) for r in made] == [(q.id, n) for q in QUESTIONS for n in range(3)]
    for response in made:
        asked = next(q for q in QUESTIONS if q.id == response.question_id)
        body = bodies[response.prompt_ids]
        assert response.prompt_ids == language_model.prompt_ids(asked.text)
        assert response.text == said(body["seed"] + response.sample)
        assert response.token_ids == (*ids(language_model, response.text), language_model.tokenizer.eos_token_id)
        assert response.text == language_model.text_of(response.token_ids)
        assert response.logprobs == tuple(-0.5 * k - 0.25 for k in range(len(response.token_ids)))
        assert (response.entropies, response.lost) == ((), "")
    body = server.bodies()[0]
    wanted = {"n": 3, "temperature": 1.0, "top_p": 0.9, "top_k": 50, "max_tokens": 9, "min_p": 0.0}
    assert {name: body[name] for name in wanted} == wanted
    assert (body["repetition_penalty"], body["return_token_ids"], body["logprobs"]) == (1.0, True, 1)


@pytest.mark.parametrize("setting", [{"prompts": "text"}, {"several": False}])
def test_a_server_is_asked_as_the_config_says(
    setting: dict[str, Any], language_model: LanguageModel, tmp_path: Path
) -> None:
    with model_server(lambda one, _: plain(language_model, one)) as server:
        made = sampler(server, tmp_path, **setting).sample(language_model, QUESTIONS, 3, seed=7)
        assert len(server.received) == (3 if "prompts" in setting else 9)
        for body in server.bodies():
            if "prompts" in setting:
                assert not body["prompt"].startswith("<bos>")
                assert tuple(language_model.tokenizer(body["prompt"])["input_ids"]) in {r.prompt_ids for r in made}
            else:
                assert "n" not in body
    assert len({r.text for r in made}) == 9
    for response in made:
        assert response.token_ids == tuple(ids(language_model, response.text))
        assert (response.logprobs, response.lost) == ((), "")


def test_greedy_answers_are_asked_for_once(language_model: LanguageModel, tmp_path: Path) -> None:
    with model_server(lambda one, _: plain(language_model, one)) as server:
        greedy = sampler(server, tmp_path, decoding=Decoding(temperature=0, top_k=0, max_new_tokens=9))
        made = greedy.sample(language_model, QUESTIONS, 3, seed=7)
        assert len(server.received) == 3
        assert not {"n", "seed"} & set(server.bodies()[0])
        assert server.bodies()[0]["top_k"] == -1  # all tokens, whatever the server's default is
    assert [r.sample for r in made] == [0, 1, 2] * 3
    assert len({(r.question_id, r.text) for r in made}) == 3


def one_choice(model: LanguageModel, folder: Path, choice: Any) -> Response:
    with model_server(lambda one, _: Says(choices=(choice,), usage=None)) as server:
        (found,) = sampler(server, folder).sample(model, QUESTIONS[:1], 1, seed=0)
        return found


def test_ids_and_log_probabilities_are_found_wherever_a_server_puts_them(
    language_model: LanguageModel, tmp_path: Path
) -> None:
    text = "the answer"
    tokens = ids(language_model, text)
    parts = [language_model.tokenizer.decode([token]) for token in tokens]
    values = tuple(-float(k) for k in range(len(tokens)))
    newer = [{"token": p, "logprob": v, "id": i} for p, v, i in zip(parts, values, tokens, strict=True)]
    forms: list[dict[str, Any]] = [
        {"token_ids": tokens, "logprobs": {"tokens": parts, "token_logprobs": list(values)}},
        {"logprobs": {"tokens": parts, "token_ids": tokens, "token_logprobs": list(values)}},
        {"logprobs": {"content": newer}},
        {"logprobs": {"tokens": parts, "token_logprobs": list(values)}},
        {"logprobs": {"tokens": [*parts, "<end>"], "token_logprobs": [*values, -3.0]}},
    ]
    for n, form in enumerate(forms):
        found = one_choice(language_model, tmp_path / str(n), {"text": text, **form})
        assert (found.token_ids, found.logprobs, found.lost) == (tuple(tokens), values, ""), form


@pytest.mark.parametrize(
    "logprobs",
    [None, {"token_logprobs": None}, {"token_logprobs": [-1.0]}, {"token_logprobs": [None, -1.0, -1.0]},
     {"tokens": ["x", "y", "z", "w"], "token_logprobs": [-1.0] * 40}],
)  # fmt: skip
def test_log_probabilities_are_whole_or_not_there(logprobs: Any, language_model: LanguageModel, tmp_path: Path) -> None:
    found = one_choice(language_model, tmp_path, {"text": "the answer", "logprobs": logprobs})
    assert (found.text, found.logprobs, found.lost) == ("the answer", (), "")


@pytest.mark.parametrize(
    ("choice", "lost"),
    [
        ({"text": "x", "token_ids": [10**6]}, "the server's token ids are outside the vocabulary"),
        ({"text": "another text", "token_ids": [80, 81]}, "the server's token ids do not decode to its text"),
        ({"message": {"content": "x"}}, "a choice without a text"),
        ({"text": "x <end>"}, "the tokens derived from the text do not decode to it"),
    ],
    ids=["too large", "another text", "chat", "a special token"],
)
def test_what_cannot_be_trusted_is_lost_with_its_reason_and_stays_there(
    choice: Any, lost: str, language_model: LanguageModel, tmp_path: Path
) -> None:
    found = one_choice(language_model, tmp_path, choice)
    assert found.lost == lost
    assert found.token_ids == ()
    assert found.prompt_ids == language_model.prompt_ids(QUESTIONS[0].text)
    assert (found.question_id, found.sample) == ("q0", 0)


def test_a_text_cut_in_the_middle_of_a_character_is_that_of_its_ids(
    language_model: LanguageModel, tmp_path: Path
) -> None:
    tokens = ids(language_model, "ab é")[:-1]
    found = one_choice(language_model, tmp_path, {"text": "ab ", "token_ids": tokens})
    assert (found.token_ids, found.lost) == (tuple(tokens), "")
    assert found.text == language_model.text_of(tokens)


def test_a_completion_ends_before_its_stop(base_model: LanguageModel, tmp_path: Path) -> None:
    tokens = ids(base_model, " Paris\n")
    found = one_choice(base_model, tmp_path, {"text": " Paris", "token_ids": tokens})
    assert (found.text, found.lost) == (" Paris", "")
    assert base_model.tokenizer.decode(found.token_ids) == " Paris"
    with model_server(lambda one, _: plain(base_model, one)) as server:
        sampler(server, tmp_path / "other").sample(base_model, QUESTIONS[:1], 1, seed=0)
        assert server.bodies()[0]["stop"] == ["\n"]


def test_requests_that_fail_lose_their_samples_and_no_others(language_model: LanguageModel, tmp_path: Path) -> None:
    bad = list(language_model.prompt_ids(QUESTIONS[1].text))

    def answer(one: Received, before: int) -> Answer:
        failed = Fails(status=400, body='{"message": "too long"}')
        return failed if one.body["prompt"] == bad else plain(language_model, one)

    with model_server(answer) as server:
        made = sampler(server, tmp_path).sample(language_model, QUESTIONS, 3, seed=7)
    assert [bool(r.lost) for r in made] == [False] * 3 + [True] * 3 + [False] * 3
    assert made[3].lost == "not sampled, refused by the server: status 400, too long"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Fails(status=400, body='{"error": {"message": "unknown field top_k"}}'), "unknown field top_k"),
        (Says(choices=("a", "b", "c"), usage={"prompt_tokens": 3, "completion_tokens": 1}), "reads 3 tokens where"),
        (Fails(status=404), "does not serve this model"),
        (Says(choices=("a",), usage=None), "gives 1 of 3 samples: sampling.several=false"),
    ],
    ids=["refuses", "other tokens", "no completions", "one sample"],
)
def test_a_server_that_cannot_sample_for_us_is_one_line(
    answer: Answer, says: str, language_model: LanguageModel, tmp_path: Path
) -> None:
    with model_server(lambda *_: answer) as server, pytest.raises(UserError) as fault:
        sampler(server, tmp_path).sample(language_model, QUESTIONS, 3, seed=7)
    assert says in str(fault.value)
    assert "\n" not in str(fault.value)


def test_what_is_refused_before_anything_is_asked(language_model: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="samples must be at least 1"):
        ServerSampler(endpoint=Endpoint(model="m"), samples=0)
    with pytest.raises(UserError, match="answered by letter"):
        ServerSampler(endpoint=Endpoint(model="m")).check(language_model, [replace(QUESTIONS[0], options=("a", "b"))])
    assert json.dumps(ServerSampler(endpoint=Endpoint(model="m")).reads(language_model)["weights"])
