"""The openai package and curl work as they are, and what they get is what the detector says."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from serving import made_service, serving

from hneuro.detector import Detector
from hneuro.models.edits import scaled
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate
from hneuro.serve.growing import Growing, Said
from hneuro.serve.service import SCALED, Service

QUESTION = "Who wrote Hamlet?"


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as made:
        yield made


def ask(client: OpenAI, question: str = QUESTION, **more: Any) -> Any:
    options = {"max_tokens": 12, "temperature": 0} | more
    return client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": question}], **options)


def texts(chunks: Any) -> tuple[dict[int, str], dict[int, Any], list[Any]]:
    """Of a stream: text and last `hneuro` of each choice, and the chunks."""
    said, last, every = dict[int, str](), dict[int, Any](), list(chunks)
    for chunk in every:
        for choice in chunk.choices:
            said[choice.index] = said.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                last[choice.index] = choice.hneuro | {"finish": choice.finish_reason}
    return said, last, every


def test_an_answer_and_its_risk_are_the_detector_s(client: OpenAI, detector: Detector) -> None:
    reply = ask(client)
    found, expected = reply.choices[0], detector.answer(QUESTION, 12)
    assert found.message.content == expected.text
    own = found.hneuro
    np.testing.assert_allclose(own["risks"], expected.risk, atol=1e-5)
    assert own["tokens"] == list(expected.tokens)
    assert own["state"] == "checked"
    assert own["score"] == pytest.approx(expected.score, abs=1e-5)
    assert own["probability"] == pytest.approx(expected.probability, abs=1e-5)
    assert own["flagged"] == expected.flagged
    assert own["decision"] == ("flag" if expected.flagged else "pass")
    stated = "".join(expected.tokens[n] for n in expected.stated)
    assert "".join(span["text"] for span in own["spans"]) == stated
    assert all(found.message.content[s["start"] : s["end"]] == s["text"] for s in own["spans"])
    assert reply.usage.completion_tokens == len(expected.tokens)


def test_a_stream_says_the_same_piece_by_piece(client: OpenAI) -> None:
    whole = ask(client, max_tokens=60).choices[0]
    stream = ask(client, max_tokens=60, stream=True, stream_options={"include_usage": True})
    said, last, chunks = texts(stream)
    assert said[0] == whole.message.content
    assert last[0]["finish"] == whole.finish_reason
    assert last[0]["risks"] == pytest.approx(whole.hneuro["risks"], abs=1e-6)
    assert chunks[-1].usage.completion_tokens == len(whole.hneuro["tokens"])
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    given = [choice.delta.content for choice in choices if choice.delta.content]
    read = [found for choice in choices[:-1] if (found := getattr(choice, "hneuro", None))]
    assert all(set(found) == {"start", "end", "risk", "flagged", "state"} for found in read)
    assert [said[0][found["start"] : found["end"]] for found in read] == given, "each text is judged once, in order"
    assert max(found["risk"] for found in read) == pytest.approx(max(whole.hneuro["risks"]), abs=1e-6)
    assert not hasattr(choices[1], "hneuro"), "the first text is there before its token has been read"
    assert choices[2].hneuro["end"] == len(given[0])


def test_a_seed_says_what_is_drawn_alone_and_in_a_batch(client: OpenAI) -> None:
    def drawn(seed: int) -> list[str]:
        reply = ask(client, seed=seed, temperature=1.0, top_p=0.9, n=3, max_tokens=20)
        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        return [choice.message.content for choice in reply.choices]

    alone = {seed: drawn(seed) for seed in range(6)}
    assert len({*map(tuple, alone.values())}) == 6
    assert len(set(alone[0])) == 3
    with ThreadPoolExecutor(6) as pool:
        assert dict(zip(alone, pool.map(drawn, alone), strict=True)) == alone
    unseeded = {ask(client, temperature=1.0).choices[0].message.content for _ in range(3)}
    assert len(unseeded) == 3


def test_stop_strings_end_an_answer_wherever_tokens_begin(client: OpenAI) -> None:
    whole = ask(client, max_tokens=60, temperature=1.0, seed=1).choices[0]
    text: str = whole.message.content
    starts = range(2, len(text) - 6, 3)
    for start in starts:
        stop = text[start : start + 5]
        cut = text[: text.find(stop)]
        found = ask(client, max_tokens=60, temperature=1.0, seed=1, stop=[stop, "never said"]).choices[0]
        assert (found.message.content, found.finish_reason) == (cut, "stop")
        assert "".join(found.hneuro.get("tokens", [])) == cut
        kept = len(found.hneuro.get("risks", []))
        np.testing.assert_allclose(found.hneuro.get("risks", []), whole.hneuro["risks"][:kept], atol=1e-5)
        said, _, chunks = texts(ask(client, max_tokens=60, temperature=1.0, seed=1, stop=stop, stream=True))
        assert said[0] == cut
        read = [found for chunk in chunks[:-1] if (found := getattr(chunk.choices[0], "hneuro", None))]
        assert "".join(cut[one["start"] : one["end"]] for one in read) == cut, "all of it is judged"


def test_characters_are_whole_and_stops_are_held_back(service: Service) -> None:
    from hneuro.detection.live import Turn
    from hneuro.responses.decoding import Decoding

    model = service.detector.model.language_model
    ids = service.detector.model.token_ids("Ärger über 日本語 🙂 stop here")
    turn = Turn(prompt_ids=(1, 2), decoding=Decoding())
    growing, pieces, read = Growing(turn, model.text_of, ["stop", "p he"]), list[Said](), list[Said]()
    for number in ids:
        if turn.finish:
            break
        turn.token_ids.append(number)
        turn.log_odds.append(0.0)
        read += filter(None, [growing.read(len(turn.log_odds) - 1)])  # a step behind
        pieces += filter(None, [growing.more()])
    assert "".join(said.text for said in pieces) == "Ärger über 日本語 🙂 "
    assert not any("\ufffd" in said.text for said in pieces)
    assert all(before.stop == after.start < after.stop for before, after in pairwise(pieces)), "each token is in one"
    assert turn.finish == "stop"
    assert growing.more() is None
    assert read == pieces


def test_logprobs_and_plain_completions(client: OpenAI, service: Service) -> None:
    found = ask(client, logprobs=True, top_logprobs=3).choices[0]
    content = found.logprobs.content
    assert "".join(token.token for token in content) == found.message.content
    assert all(token.logprob == pytest.approx(token.top_logprobs[0].logprob, abs=1e-6) for token in content)
    assert all(len(token.top_logprobs) == 3 for token in content)
    reply = client.completions.create(model="tiny", prompt="The answer is", max_tokens=5, temperature=0, logprobs=2)
    choice: Any = reply.choices[0]
    assert choice.text
    assert len(choice.logprobs.token_logprobs) == 5
    assert choice.hneuro["state"] == "unchecked"
    assert "raw prompt" in choice.hneuro["reason"]
    assert choice.hneuro["flagged"] is None
    streamed = client.completions.create(model="tiny", prompt="The answer is", max_tokens=5, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == choice.text


def test_a_conversation_is_answered_and_never_shown_as_checked(client: OpenAI) -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    reply: Any = client.chat.completions.create(model="tiny", messages=said, max_tokens=5)  # type: ignore[arg-type]
    found = reply.choices[0].hneuro
    assert (found["state"], found["flagged"], found["probability"]) == ("unchecked", None, None)
    assert "conversation" in found["reason"]
    assert found["decision"] == "flag"
    assert len(found["risks"]) == 5


def test_models_errors_and_scores(client: OpenAI, url: str, detector: Detector) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    with pytest.raises(NotFoundError, match="no such model here, only 'tiny'"):
        client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "?"}])
    with pytest.raises(BadRequestError, match="'tools' is not supported") as caught:
        ask(client, tools=[{"type": "function", "function": {"name": "f"}}])
    assert caught.value.param == "tools"
    found = client.post("/score", body={"question": QUESTION, "answer": "Ann did"}, cast_to=dict[str, Any])
    expected = detector.score(QUESTION, "Ann did")
    assert found["score"] == pytest.approx(expected.score, abs=1e-6)
    np.testing.assert_allclose(found["risks"], expected.risk, atol=1e-6)


def test_curl_reads_health_metrics_and_a_stream(url: str) -> None:
    def curl(*words: str) -> str:
        return subprocess.run(["curl", "-sS", *words], capture_output=True, text=True, check=True).stdout

    assert json.loads(curl(f"{url}/health"))["status"] == "ok"
    body = {"messages": [{"role": "user", "content": QUESTION}], "stream": True, "max_tokens": 3}
    lines = curl("-N", "--json", json.dumps(body), f"{url}/v1/chat/completions").split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(line.removeprefix("data: "))["object"] == "chat.completion.chunk" for line in lines[:-2])
    metrics = curl(f"{url}/metrics")
    assert 'hneuro_requests_total{route="/v1/chat/completions",status="200"}' in metrics
    assert "hneuro_between_texts_seconds_bucket" in metrics
    assert "Hamlet" not in metrics


def test_an_answer_goes_on_from_a_prefix(client: OpenAI, detector: Detector) -> None:
    prefix = "It is 4 of "
    expected = detector.score(QUESTION, prefix)
    said = [
        ask(client, max_tokens=20, temperature=1.0, seed=seed, extra_body={"prefix": prefix}).choices[0]
        for seed in (1, 2)
    ]
    for choice in said:
        assert choice.message.content.startswith(prefix)
        risks = choice.hneuro["risks"]
        assert len(risks) > len(expected.risk)
        np.testing.assert_allclose(risks[: len(expected.risk)], expected.risk, atol=1e-5)
    assert said[0].message.content != said[1].message.content
    with pytest.raises(BadRequestError, match="'prefix' leaves no room"):
        ask(client, max_tokens=2, extra_body={"prefix": prefix})


def test_an_answer_says_which_neurons_drive_its_risk(client: OpenAI, detector: Detector) -> None:
    expected = detector.answer(QUESTION, 12)
    assert expected.added is not None
    log_odds = expected.added.sum(axis=1) + detector.classifier.bias
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), expected.risk, atol=1e-6)
    for drivers, added in zip(ask(client).choices[0].hneuro["drivers"], expected.added, strict=True):
        found = {(one["layer"], one["index"]): one["adds"] for one in drivers}
        assert found == pytest.approx(dict(zip(detector.neurons, added.tolist(), strict=True)), abs=2e-4)
        assert [abs(adds) for adds in found.values()] == sorted(map(abs, found.values()), reverse=True)


def test_a_scaled_answer_is_that_of_the_sweep_and_unchecked(detector: Detector, tmp_path: Path) -> None:
    model = detector.model.language_model
    job = Job(model.prompt_ids(QUESTION), "", scaled(detector.classifier.columns, 4.0))
    decoding = Decoding(temperature=0.0, max_new_tokens=12)
    expected = generate(model.loaded, model.tokenizer.pad_token_id, [job], decoding)[0].token_ids
    untouched = detector.answer(QUESTION, 12)
    assert model.text_of(expected) != untouched.text
    service = made_service(detector, tmp_path, alpha=4.0, steering=True)
    with serving(service) as url, OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        for more in ({}, {"extra_body": {"alpha": 4.0}}):
            found = ask(client, **more).choices[0]
            assert found.message.content == model.text_of(expected)
            assert (found.hneuro["state"], found.hneuro["reason"]) == ("unchecked", SCALED)
        same = ask(client, extra_body={"alpha": 1.0}).choices[0]
        assert same.message.content == untouched.text
        assert same.hneuro["state"] == "checked"


def test_sixteen_clients_who_come_and_go_are_never_mixed_up(client: OpenAI, service: Service) -> None:
    def job(seed: int) -> dict[str, Any]:
        draw = random.Random(seed)
        return {
            "question": f"What is number {seed % 7}?",
            "seed": seed,
            "temperature": draw.choice([0, 0.7, 1.0]),
            "max_tokens": draw.randint(1, 40),
            "n": draw.choice([1, 1, 2]),
        }

    seeds = range(64)
    alone = {seed: texts(ask(client, **job(seed), stream=True))[0] for seed in seeds}

    def run(seed: int) -> bool:
        draw = random.Random(-seed)
        stream = ask(client, **job(seed), stream=True)
        if draw.random() < 0.3:
            for _ in range(draw.randint(0, 5)):
                next(iter(stream), None)
            stream.close()
            return True
        said, last, _ = texts(stream)
        assert set(last) == set(said)
        return said == alone[seed]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(run, seeds))
    assert ask(client, question="Who?").choices
    assert service.engine.load == (0, 0)
