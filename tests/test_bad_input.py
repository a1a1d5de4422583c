"""Whatever a user gets wrong: one clear line that names the thing and the way out, exit code 2, nothing lost."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from transformers import Lfm2Config, Lfm2ForCausalLM, LlamaConfig, LlamaForCausalLM

from hneuro.cli import main

Prepare = Callable[[Path, Path], list[str]]  # (folder, tiny checkpoint) -> overrides


@dataclass(frozen=True)
class Case:
    name: str
    words: list[str] | Prepare
    says: tuple[str, ...]  # all of them stand in the error line


def questions(rows: object) -> Prepare:
    """Overrides for a run of the tiny model on a question file with these rows."""

    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)  # type: ignore[attr-defined]
        (folder / "q.jsonl").write_text(text)
        return [*tiny(checkpoint), "dataset=file", "dataset.identification.path=q.jsonl"]

    return prepare


def tiny(checkpoint: Path) -> list[str]:
    return ["model=hub", "model.name=tiny", f"model.chat.path={checkpoint}", "benchmark=none", "quiet=true"]


def good_rows(count: int = 12) -> list[dict[str, object]]:
    return [{"question": f"What is number {n}?", "answers": [str(n)], "id": n, "entity": n} for n in range(count)]


LLM = ["judge=llm", "judge.endpoint.model=m"]
VOTE = ["judge=vote", "judge.members.llm.endpoint.model=m"]
SERVER = ["sampling=server", "sampling.endpoint.model=m", "sampling.endpoint.retries=0"]
NOWHERE = "sampling.endpoint.base_url=http://127.0.0.1:9/v1"  # the port of the discard service
LETTERS = ["sampling=letters", "judge=letter", "labeling=mcq_contrastive"]


def on_good_questions(*words: str) -> Prepare:
    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        return [*questions(good_rows())(folder, checkpoint), *words]

    return prepare


def data(name: str, content: bytes, choice: str = "file") -> Prepare:
    """Overrides for a run on a file with this content, read as that set of questions."""

    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return [*tiny(checkpoint), "dataset=file", f"questions@dataset.identification={choice}", path(name)]

    return prepare


def in_place(word: str) -> Prepare:
    """Where there are a file and a link to nowhere."""

    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        (folder / "a_file").touch()
        (folder / "a_link").symlink_to("nowhere")
        return [word]

    return prepare


def labelled(*rows: dict[str, object]) -> Prepare:
    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return [*questions(good_rows())(folder, checkpoint), "judge=labels", "judge.path=labels.jsonl"]

    return prepare


def path(name: str) -> str:
    return f"dataset.identification.path={name}"


def recorded(text: str) -> Prepare:
    return data("r.jsonl", text.encode(), "recorded")


def counted(text: str) -> Prepare:
    """A file of training frequencies for good questions."""

    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        (folder / "c.csv").write_text(text)
        return on_good_questions("mechanism.counts=c.csv")(folder, checkpoint)

    return prepare


def hybrid(folder: Path, checkpoint: Path) -> list[str]:
    config = Lfm2Config(
        vocab_size=64, hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False,
    )  # fmt: skip
    Lfm2ForCausalLM(config).save_pretrained(folder / "hybrid")
    for file in (*checkpoint.glob("*token*"), checkpoint / "chat_template.jinja"):
        (folder / "hybrid" / file.name).write_bytes(file.read_bytes())
    words = questions(good_rows())(folder, folder / "hybrid")
    return [*words, "contribution=predicting", "intervention.ranked=5", "intervention.variants=[risky]"]


def without_template(folder: Path, checkpoint: Path) -> list[str]:
    copy = folder / "base"
    copy.mkdir()
    for file in checkpoint.iterdir():
        if file.name != "chat_template.jinja":
            (copy / file.name).write_bytes(file.read_bytes())
    return questions(good_rows())(folder, copy)


def few_embeddings(folder: Path, checkpoint: Path) -> list[str]:
    """A model beside the tokenizer of another one, which knows more tokens."""
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).save_pretrained(folder / "few")
    for file in (*checkpoint.glob("*token*"), checkpoint / "chat_template.jinja"):
        (folder / "few" / file.name).write_bytes(file.read_bytes())
    return questions(good_rows())(folder, folder / "few")


def no_file(make: Callable[[Path], object]) -> Prepare:
    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        make(folder / "q.jsonl")
        return [*tiny(checkpoint), "dataset=file", "dataset.identification.path=q.jsonl"]

    return prepare


def no_config(folder: Path, checkpoint: Path) -> list[str]:
    (folder / "empty").mkdir()
    return questions(good_rows())(folder, folder / "empty")


CASES = [
    Case("unknown group", ["modle=organism_llama_s"], ("modle", "did you mean 'model'")),
    Case("unknown choice", ["model=organism_lama_s"], ("model=organism_lama_s", "did you mean 'organism_llama_s'")),
    Case("unknown experiment", ["experiment=smok"], ("experiment=smok", "did you mean 'smoke'")),
    Case("key in small letters", ["probe.c=[20]"], ("probe.c", "did you mean 'C'")),
    *(Case(f"no {key}", [f"{key}="], (f"{key} must not be empty",)) for key in ("name", "output_dir", "store_dir")),
    Case("no model", ["model=hub"], ("model.name, model.chat.path: values are needed", "model=ORG/NAME")),
    Case("unknown key", ["seeed=1"], ("seeed", "did you mean 'seed'")),
    Case("unknown key of a part", ["probe.tolerence=1"], ("probe.tolerence", "did you mean 'tolerance'")),
    Case("added key", ["+sead=1"], ("sead", "did you mean 'seed'")),
    Case("wrong type", ["seed=abc"], ("seed", "'abc'", "Integer")),
    Case("wrong type in a part", ["sampling.samples=many"], ("sampling.samples", "'many'", "integer")),
    Case("value outside its set", ["judge.match=fuzzy"], ("judge.match", "'fuzzy'", "'strict' or 'exact'")),
    *(
        Case(f"{key} in {place}", in_place(f"{key}={place}/x"), (f"{place}", "choose another"))
        for key in ("output_dir", "store_dir")
        for place in ("/dev/null", "a_file", "a_link")
    ),
    Case(
        "every file that is not there",
        ["dataset=file", path("a.csv"), "mechanism.counts=b.csv", "model=hub", "model.name=x", "model.chat.path=/no/m"],
        (
            "dataset.identification.path: the file a.csv",
            "mechanism.counts: the file b.csv",
            "chat.path: the file /no/m",
        ),
    ),
    Case("negative seed", ["seed=-1"], ("seed must be between 0",)),
    Case("C that is no number", ["probe.C=[1,nan]"], ("probe.C.1 must be a finite number, not nan",)),
    Case("no answer tokens", ["dataset.answer_tokens=0"], ("sampling.decoding", "max_new_tokens >= 1")),
    Case("unknown device", ["model.device=banana"], ("model", "device must be auto, cpu", "'banana'")),
    Case("alpha beyond all numbers", ["intervention.alphas=[1,1e308]"], ("intervention", "above 1000")),
    Case("malformed override", ["name='a=b"], ("name='a=b",)),
    Case("sweep without -m", ["seed=1,2"], ("seed=1,2", "multirun")),
    Case("unknown stage to stop after", ["until=probe"], ("until", "'probe'", "responses, verdicts, contributions")),
    Case(
        "recorded responses that are not there",
        on_good_questions("sampling=recorded", "sampling.paths=[gone.jsonl]"),
        ("gone.jsonl", "does not exist"),
    ),
    Case("no vLLM here", on_good_questions("sampling=vllm"), ("pip install 'hneuro[vllm]'", "until=responses")),
    Case("impossible decoding", ["sampling.decoding.top_p=2"], ("sampling.decoding", "top_p")),
    Case("no file of counts", on_good_questions("mechanism.counts=c.csv"), ("the file c.csv does not exist",)),
    Case("counts without counts", counted("entity,number\n0,1\n"), ("c.csv, row 1 has no 'count'", "entity, number")),
    Case("no C", ["probe.C=[]"], ("probe", "at least one value")),
    Case("negative C", ["probe.C=[-1]"], ("probe", "above 0")),
    Case("one alpha", ["intervention.alphas=[1]"], ("intervention", "two different")),
    Case("one judge that votes", [*VOTE, "~judge.members.llm"], ("judge", "at least two judges")),
    Case(
        "a letter and the token before it, at one position",
        [*LETTERS, "contribution=last_prompt", "contribution.position=predicting"],
        ("mcq-contrastive", "contribution.position=token"),
    ),
    Case("question without text", questions([{"question": " ", "answers": ["a"], "id": "q7"}]), ("'q7'", "no text")),
    Case("negative count", counted("entity,count\n0,-1\n"), ("c.csv, row 1", "a number from 0, not '-1'")),
    Case("negative alpha", ["intervention.alphas=[-1,1]"], ("intervention", "below 0")),
    Case("labeling lacks its region", ["contribution.regions=[answer]"], ("3-vs-1", "contribution.regions", "other")),
    Case("class that does not exist", ["judge._target_=hneuro.verdicts.rule.Juge"], ("judge._target_", "Juge")),
    Case(
        "part in the wrong place", ["tracker._target_=hneuro.models.chat.Prompting"], ("tracker", "a Tracker is needed")
    ),
    Case("environment variable that is not set", ["name=${oc.env:HNEURO_NOT_SET}"], ("HNEURO_NOT_SET",)),
    Case(
        "question file that does not exist",
        lambda _, model: [*tiny(model), "dataset=file", "dataset.identification.path=gone.jsonl"],
        ("gone.jsonl", "does not exist"),
    ),
    Case("pipe for questions", no_file(os.mkfifo), ("dataset.identification.path: q.jsonl is a folder or a device",)),
    Case("folder for questions", no_file(Path.mkdir), ("q.jsonl is a folder or a device",)),
    Case(
        "question that is longer than the model reads",
        questions([*good_rows(), {"question": "why? " * 1000, "answers": ["x"], "id": "long"}]),
        ("the prompts of 1 questions, such as 'long'", "the 2048 tokens"),
    ),
    Case(
        "answers that are longer than the model reads",
        on_good_questions("dataset.answer_tokens=2040"),
        ("the prompts of 12 questions", "lower dataset.answer_tokens"),
    ),
    Case("tokenizer of another model", few_embeddings, ("few has embeddings of 40 tokens", "do not belong together")),
    *(
        Case(
            f"answers {answers}",
            questions([{"question": "?", "answers": answers}]),
            ("row 1", "'answers' must be text"),
        )
        for answers in ([["a", "b"]], [{"value": "a"}], True)
    ),
    *(
        Case(
            f"question {asked}", questions([{"question": asked, "answers": "a"}]), ("row 1", "'question' must be text")
        )
        for asked in (["a"], True)
    ),
    Case(
        "answer of another column", questions([{"question": "?", "answer": "a"}]), ("'answers'", "answers_column=NAME")
    ),
    Case("nested too deeply", questions("[" * 100_000), ("q.jsonl", "nested too deeply")),
    Case(
        "half a character",
        questions('{"question": "a"}\n{"question": "\\ud800?", "answers": "a"}\n'),
        ("q.jsonl", "line 2 has half a character"),
    ),
    Case("too few to split", questions(good_rows(2)), ("2 groups", "more questions")),
    Case("model that is not there", on_good_questions("model.chat.path=/nowhere/model"), ("/nowhere/model",)),
    Case("folder that is no model", no_config, ("empty", "config.json")),
    Case("chat benchmark on a base model", without_template, ("no chat template", "instruction-tuned")),
    Case("more neurons than there are", on_good_questions("intervention.ranked=150"), ("intervention.ranked", "192")),
    Case(
        "model that knows nothing", on_good_questions("intervention.ranked=0"), ("faithful answers", "more questions")
    ),
    Case(
        "multiple-choice labels of questions without options",
        lambda folder, model: [*questions(good_rows())(folder, model), *LETTERS, "contribution=last_prompt"],
        ("'0' has no options", "sampling=transformers"),
    ),
    Case("texts read as letters", ["judge=letter"], ("sampling=letters with judge=letter",)),
    Case("letter labels of texts", ["labeling=mcq_non_contrastive"], ("mcq-non-contrastive", "sampling=letters")),
    Case(
        "hub data without a hub",
        lambda _, model: [*tiny(model), "dataset=triviaqa"],
        ("mandarjoshi/trivia_qa", "HF_HUB_OFFLINE is set", "path="),
    ),
    Case(
        "a set to test on with the name of the first",
        lambda _, model: [*tiny(model), "dataset=triviaqa", "questions@dataset.identification=nq_open"],
        ("dataset.evaluation.nq_open", "~dataset.evaluation.nq_open"),
    ),
    Case(
        "a set to test on that is the first again",
        lambda folder, model: [
            *questions(good_rows())(folder, model),
            "+questions@dataset.evaluation.again=file",
            "dataset.evaluation.again.path=q.jsonl",
        ],
        ("dataset again", "none of its 12 questions is left", "12 also in file"),
    ),
    Case(
        "risk read where no detector was trained",
        ["intervention.variants=[risky]"],
        ("intervention.variants: risky", "choose contribution=predicting"),
    ),
    Case(
        "risk read where detectors read other tokens",
        ["intervention.variants=[risky]", "contribution=predicting", "labeling=other_tokens"],
        ("intervention.variants: risky", "1-vs-1-other", "choose another labeling"),
    ),
    Case("a shard of a whole run", ["shard=3"], ("shard:", "add until=contributions")),
    Case("a step of a hybrid model taken back", hybrid, ("intervention.variants: risky", "Lfm2ForCausalLM")),
    Case(
        "two benchmarks of one name",
        ["benchmark=harmless", "+benchmark.more={_target_:hneuro.causal.benchmarks.harmless.Harmless}"],
        ("benchmark: two of them are called harmless",),
    ),
    Case(
        "benchmark that nobody reads",
        on_good_questions("benchmark=jailbreak"),
        ("grader.model: benchmark.jailbreak is read by a model", "grader=local or grader=openai"),
    ),
    Case("benchmark without its file", on_good_questions("benchmark=falseqa"), ("benchmark.falseqa.path",)),
    Case(
        "benchmark of nothing",
        lambda folder, model: [
            *data("f.csv", b"question,answer,label\n?,x,0\n")(folder, model),
            *on_good_questions("benchmark=falseqa", "benchmark.falseqa.path=f.csv", "grader.model=m")(folder, model),
        ],
        ("benchmark.falseqa has no prompts",),
    ),
    Case("loss that is no share", ["max_span_loss=2"], ("max_span_loss", "between 0 and 1")),
    Case(
        "client that asks nobody",
        ["span=llm", "~span.client", "+span.client={_target_:hneuro.spans.letter.LetterLocator}"],
        ("span.client", "LetterLocator", "Client"),
    ),
    Case(
        "judge that is asked nowhere", [*LLM, "judge.endpoint.base_url=localhost:8000"], ("judge.endpoint", "http://")
    ),
    Case("key in the config", [*LLM, "judge.endpoint.api_key_env=sk-12"], ("judge.endpoint", "NAME of an environment")),
    Case("server that is not there", on_good_questions(*SERVER, NOWHERE), ("cannot reach m at", "start the server")),
    Case(
        "cache in a place that is none",
        on_good_questions(*SERVER, NOWHERE, "sampling.endpoint.cache=q.jsonl/answers"),
        ("q.jsonl/answers", "choose another file"),
    ),
    Case(
        "labels of another meaning",
        labelled({"id": "0", "sample": 0, "verdict": "meh"}),
        ("labels.jsonl, row 1", "'meh' is none of"),
    ),
    Case(
        "a key that is not set",
        on_good_questions("judge=llm", "judge.endpoint.model=m", "judge.endpoint.api_key_env=HNEURO_NOT_SET"),
        ("API key of m is missing", "HNEURO_NOT_SET"),
    ),
    Case("folder of configs that is not there", ["--config-dir", "/nowhere/conf"], ("/nowhere/conf",)),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_one_clear_line_and_exit_code_2(
    case: Case,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "vllm", None)  # wherever this is tested
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "0")
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    words = case.words if isinstance(case.words, list) else case.words(tmp_path, tiny_checkpoint)
    code = main(["run", *words])
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1
    for part in case.says:
        assert part in errors[0]
    assert "Traceback" not in errors[0]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_file_in_the_place_of_a_state(
    make: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "status.json")
    assert main(["edit", str(tmp_path), "--alpha=0", "--out=x"]) == 2
    assert "status.json cannot be read: it is no file" in capsys.readouterr().err


def test_a_fault_of_hneuro_is_code_1_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(_: object) -> None:
        raise KeyError("ours")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hneuro.experiment.Experiment.check_inputs", faulty)
    assert main(["run", "model=organism_llama_s", "dataset=organism"]) == 1
    assert caplog.records[-1].exc_info is not None
    (state,) = tmp_path.glob("outputs/**/status.json")
    assert json.loads(state.read_text())["code"] == 1


def test_report_of_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "there is no run in" in capsys.readouterr().err


def test_report_of_a_damaged_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text('{"title": 1}')
    assert main(["report", str(tmp_path)]) == 2
    assert "run the experiment again" in capsys.readouterr().err


def test_full_disk_is_said_in_one_line_and_goes_on_later(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hneuro import codec, store

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    words = ["run", *questions(good_rows())(tmp_path, tiny_checkpoint), "sampling.decoding.max_new_tokens=4"]
    with monkeypatch.context() as patched:
        patched.setattr(store, "write_jsonl", full)
        assert main(words) == 2
        assert "space" in capsys.readouterr().err
    assert codec.write_jsonl is store.write_jsonl
    assert not list(tmp_path.glob("outputs/store/*/*/manifest.json"))
    assert main(words) == 2  # the tiny model knows nothing, but now its responses are there
    assert "answers in the fit split" in capsys.readouterr().err
    assert list(tmp_path.glob("outputs/store/responses/*/manifest.json"))


def test_a_damaged_stage_names_the_folder_to_delete(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", *questions(good_rows())(tmp_path, tiny_checkpoint), "sampling.decoding.max_new_tokens=4"]
    main(words)
    records = min(tmp_path.glob("outputs/store/responses/*/records.jsonl"))
    records.write_text(records.read_text().replace("a", "b", 1))
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert str(records.parent.relative_to(tmp_path)) in said
    assert "delete" in said


def test_no_command_prints_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "usage: hneuro" in capsys.readouterr().err
