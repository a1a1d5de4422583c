"""The library: what a notebook does with a model, and with the detector of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from texts import blocks

import hneuro
from hneuro.cli import main
from hneuro.codec import to_plain
from hneuro.contributions.extract import extract
from hneuro.records import UserError


@pytest.fixture(scope="module")
def run_dir(finished: Path) -> Path:
    return min(finished.glob("outputs/demo/*/results.json")).parent


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> hneuro.Model:
    return hneuro.load(tiny_checkpoint, dtype="float32", device="cpu")


def test_cett_of_one_prompt_is_that_of_extraction(model: hneuro.Model) -> None:
    read = model.cett("Who?", "Ann", layers=[1, 0])
    own = model.language_model
    ids = (*own.prompt_ids("Who?"), *model.token_ids("Ann"))
    assert len(read.tokens) == len(ids) == len(read.values)
    assert (read.prompt, read.layers) == (len(own.prompt_ids("Who?")), (1, 0))
    weights = np.zeros((1, len(ids)), dtype=np.float32)
    weights[0, 2:5] = 1 / 3
    pooled = extract(own.loaded, [ids], [weights], 100)[0, 0].reshape(model.space.n_layers, model.space.width)
    np.testing.assert_allclose(read.values[2:5].mean(0), pooled[[1, 0]], rtol=1e-5, atol=1e-7)


def test_neurons_are_scaled_inside_only(model: hneuro.Model) -> None:
    before = model.cett("Who?").values
    with model.scaled([(0, 3), (1, 5)], alpha=0.0):
        inside = model.cett("Who?").values
    assert not inside[:, 0, 3].any()
    assert not inside[:, 1, 5].any()
    assert before[:, 0, 3].any()
    np.testing.assert_array_equal(model.cett("Who?").values, before)


def test_a_saved_detector_says_what_the_run_said(run_dir: Path, tmp_path: Path) -> None:
    found = hneuro.results(run_dir).results
    detector = hneuro.Detector.load(hneuro.Detector.load(run_dir).save(tmp_path / "mine"))
    assert [detector.space.flat(*neuron) for neuron in detector.neurons] == list(found.neuron_sets["h_neurons"])
    question, text = "What is number 3?", "number 4 of 5"
    scored = detector.score(question, text)
    cett = detector.model.cett(question, text)
    at_tokens = cett.values[cett.prompt :, [n for n, _ in detector.neurons], [n for _, n in detector.neurons]]
    np.testing.assert_allclose(scored.risk, detector.classifier.on_columns().risk(at_tokens), rtol=1e-4)
    whole = at_tokens[list(scored.stated)].mean(0, keepdims=True)
    assert scored.score == pytest.approx(detector.classifier.on_columns().risk(whole)[0], rel=1e-4)
    assert scored.flagged == (scored.score > scored.threshold)
    assert "".join(scored.tokens) == scored.text


def test_a_stream_has_the_risks_of_the_whole_answer(run_dir: Path) -> None:
    detector = hneuro.Detector.load(run_dir)
    streamed = list(detector.stream("What is number 7?", max_new_tokens=6))
    prompt = detector.model.language_model.prompt_ids("What is number 7?")
    assert streamed
    whole = detector.model.cett("What is number 7?", "".join(token.text for token in streamed))
    if len(whole.tokens) - len(prompt) == len(streamed):
        scored = detector.score("What is number 7?", "".join(token.text for token in streamed))
        np.testing.assert_allclose([token.risk for token in streamed], scored.risk, atol=1e-4)


def test_a_detector_refuses_other_weights_foreign_classes_and_empty_folders(run_dir: Path, tmp_path: Path) -> None:
    own = hneuro.Detector.load(run_dir)
    place = replace(own, weights="0" * 64).save(tmp_path / "other")
    with pytest.raises(UserError, match="the detector is of another model: of tiny with the weights 000"):
        hneuro.Detector.load(place).answer("Who?")
    place = replace(own, model_config={"_target_": "os.system", "name": "x"}).save(tmp_path / "foreign")
    with pytest.raises(UserError, match="names a class that is not of hneuro"):
        hneuro.Detector.load(place).answer("Who?")
    known = json.loads((place / "detector.json").read_text())
    (place / "detector.json").write_text(json.dumps(known | {"threshold": known["threshold"] + 0.1}))
    with pytest.raises(UserError, match="cannot be read: it was damaged, changed by hand"):
        hneuro.Detector.load(place)
    (place / "detector.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match="cannot be read"):
        hneuro.Detector.load(place)
    with pytest.raises(UserError, match="has no detector: name the folder of a finished run"):
        hneuro.Detector.load(tmp_path)


def test_results_are_frames_and_figures(run_dir: Path) -> None:
    found = hneuro.results(run_dir)
    assert {"stage", "metric", "value", "low", "high", "n"} <= set(found.rows.columns)
    assert len(found.neurons) == len(found.results.neurons)
    assert found.path.chosen.sum() == 1
    read = found.results.fit_answers
    assert all(len(answer.cett) == min(len(found.neurons), 100) for answer in read)
    for verdict, mean in (("wrong", found.neurons.cett_wrong[0]), ("correct", found.neurons.cett_right[0])):
        own = [answer.cett[0] for answer in read if answer.verdict.value == verdict]
        assert 0 < len(own) < 100, "all of them"
        assert sum(own) / len(own) == pytest.approx(mean, rel=1e-3)
    name = next((run_dir / "figures").glob("*.svg")).stem
    assert found.figure(name).to_dict()["config"]
    with pytest.raises(UserError, match="there is no figure 'none'"):
        found.figure("none")


def test_neurons_have_the_index_of_the_detector_in_a_mixture_too(run_dir: Path, tmp_path: Path) -> None:
    found, detector = hneuro.results(run_dir), hneuro.Detector.load(run_dir)
    assert list(zip(found.neurons.layer, found.neurons["index"], strict=True)) == list(detector.neurons)
    space, flat = replace(detector.space, experts=4), found.results.neuron_sets["h_neurons"]
    of_experts = [space.address(neuron) for neuron in flat]
    rows = tuple(
        replace(row, layer=layer, expert=expert, index=index)
        for row, (layer, expert, index) in zip(found.results.neurons, of_experts, strict=True)
    )
    (tmp_path / "results.json").write_text(json.dumps(to_plain(replace(found.results, space=space, neurons=rows))))
    frame = hneuro.results(tmp_path).neurons
    assert list(zip(frame.layer, frame["index"], strict=True)) == list(detector.neurons)
    assert list(frame.expert) == [expert for _, expert, _ in of_experts]


def test_models_are_found_by_name_and_say_what_is_wrong() -> None:
    assert hneuro.load("smollm2_135m", dtype="bfloat16").spec.dtype == "bfloat16"
    assert hneuro.load("lab/a-model").spec.name == "a-model"
    for wrong, says in (("smollm", "smollm2_135m"), ("none.gguf", "none.gguf")):
        with pytest.raises(UserError, match=says):
            _ = hneuro.load(wrong).space


def test_scores_on_the_command_line_are_the_library_s(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = hneuro.Detector.load(run_dir)
    assert main(["score", str(run_dir), "What is number 3?", "--answer", "number 4 of 5"]) == 0
    given = detector.score("What is number 3?", "number 4 of 5")
    assert f": {given.score:.2f} " in capsys.readouterr().out
    rows = [{"question": "What is number 3?"}, {"question": "What is number 3?", "answer": "number 4 of 5"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["score", str(run_dir), "--file", str(tmp_path / "q.jsonl")]) == 0
    own, other = map(json.loads, capsys.readouterr().out.splitlines())
    assert other["score"] == pytest.approx(given.score)
    assert own["answer"] == detector.answer("What is number 3?").text
    for wrong in ([], ["Who?", "--file", "q.jsonl"]):
        assert main(["score", str(run_dir), *wrong]) == 2
        assert "give a question, or --file" in capsys.readouterr().err


def test_the_python_of_the_pages_runs(run_dir: Path, tiny_checkpoint: Path) -> None:
    found: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block.replace("RUN_DIR", str(run_dir)).replace("smollm2_135m", str(tiny_checkpoint)), found)
    assert found["cett"].values.ndim == 3
    assert 0 < len(found["risks"]) <= len(found["answer"].risk)
    assert isinstance(found["text"], str)
    assert len(found["rows"]) > 10
