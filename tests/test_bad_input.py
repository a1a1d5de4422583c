"""Whatever a user gets wrong: one clear line that names the thing and the way out, exit code 2, nothing lost."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from transformers import Lfm2Config, Lfm2ForCausalLM

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


def with_options() -> list[dict[str, object]]:
    return [row | {"answers": "A", "options": ["yes", "no"]} for row in good_rows()]


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


def trivia(row: dict[str, object]) -> Prepare:
    return data("t.jsonl", json.dumps(row).encode(), "triviaqa")


def recorded(text: str) -> Prepare:
    return data("r.jsonl", text.encode(), "recorded")


def made_up(setting: str) -> Prepare:
    words = ["dataset=file", "questions@dataset.identification=nonexist", f"dataset.identification.{setting}"]
    return lambda _, checkpoint: [*tiny(checkpoint), *words]


def counted(text: str) -> Prepare:
    """A file of training frequencies for good questions."""

    def prepare(folder: Path, checkpoint: Path) -> list[str]:
        (folder / "c.csv").write_text(text)
        return on_good_questions("mechanism.counts=c.csv")(folder, checkpoint)

    return prepare


def recording(folder: Path, row: dict[str, object]) -> Path:
    (folder / "recorded.jsonl").write_text(json.dumps(row))
    return folder / "recorded.jsonl"


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


def no_config(folder: Path, checkpoint: Path) -> list[str]:
    (folder / "empty").mkdir()
    return questions(good_rows())(folder, folder / "empty")


CASES = [
    Case("unknown group", ["modle=organism_llama_s"], ("modle", "did you mean 'model'")),
    Case("unknown choice", ["model=organism_lama_s"], ("model=organism_lama_s", "did you mean 'organism_llama_s'")),
    Case("unknown choice, nothing near", ["sampling=zzz"], ("sampling=zzz", "transformers")),
    Case("unknown experiment", ["experiment=smok"], ("experiment=smok", "did you mean 'smoke'")),
    Case("mistyped experiment", ["experment=smoke"], ("experment", "did you mean 'experiment'")),
    Case("key in small letters", ["probe.c=[20]"], ("probe.c", "did you mean 'C'")),
    *(Case(f"no {key}", [f"{key}="], (f"{key} must not be empty",)) for key in ("name", "output_dir", "store_dir")),
    Case("no model", ["model=hub"], ("model.name, model.chat.path: values are needed", "model=ORG/NAME")),
    Case("unknown key", ["seeed=1"], ("seeed", "did you mean 'seed'")),
    Case("unknown key of a part", ["probe.tolerence=1"], ("probe.tolerence", "did you mean 'tolerance'")),
    Case("added key", ["+sead=1"], ("sead", "did you mean 'seed'")),
    Case("added key of a part", ["+probe.penalty=l1"], ("probe.penalty", "there is no such key")),
    Case("added key of the data set", ["+dataset.limits=1"], ("dataset.limits", "did you mean 'limit'")),
    Case("wrong type", ["seed=abc"], ("seed", "'abc'", "Integer")),
    Case("wrong type in a part", ["sampling.samples=many"], ("sampling.samples", "'many'", "integer")),
    Case("list that is none", ["probe.C=x"], ("probe.C", "'x'")),
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
    Case("negative seed of a part", ["labeling=shuffled", "labeling.seed=-2"], ("labeling.seed must be",)),
    Case("C that is no number", ["probe.C=[1,nan]"], ("probe.C.1 must be a finite number, not nan",)),
    Case("C without an end", ["probe.C=[inf]"], ("probe.C.0 must be a finite number",)),
    Case("share that is no number", ["splits.fit=nan"], ("splits.fit must be a finite number",)),
    Case("temperature that is no number", ["model.temperature=nan"], ("must be a finite number",)),
    Case("negative limit", ["dataset.limit=-1"], ("dataset.limit must be at least 1",)),
    Case("no answer tokens", ["dataset.answer_tokens=0"], ("sampling.decoding", "max_new_tokens >= 1")),
    Case("negative shard", ["shard=-1", "until=responses"], ("shard must not be negative",)),
    Case("unknown device", ["model.device=banana"], ("model", "device must be auto, cpu", "'banana'")),
    Case("alpha beyond all numbers", ["intervention.alphas=[1,1e308]"], ("intervention", "above 1000")),
    Case("malformed override", ["name='a=b"], ("name='a=b",)),
    Case("sweep without -m", ["seed=1,2"], ("seed=1,2", "multirun")),
    Case("unknown stage to stop after", ["until=probe"], ("until", "'probe'", "responses, verdicts, contributions")),
    Case("no recorded responses", ["sampling=recorded"], ("sampling.paths",)),
    Case(
        "recorded responses that are not there",
        on_good_questions("sampling=recorded", "sampling.paths=[gone.jsonl]"),
        ("gone.jsonl", "does not exist"),
    ),
    Case(
        "recorded responses to other questions",
        on_good_questions("sampling=recorded", "sampling.paths=[q.jsonl]"),
        ("q.jsonl, row 1 has no 'question_id'",),
    ),
    Case("no vLLM here", on_good_questions("sampling=vllm"), ("pip install 'hneuro[vllm]'", "until=responses")),
    Case("vLLM on no device", ["sampling=vllm", "sampling.tensor_parallel_size=0"], ("sampling", "at least 1")),
    Case("no samples", ["sampling.samples=0"], ("sampling", "at least 1")),
    Case("impossible decoding", ["sampling.decoding.top_p=2"], ("sampling.decoding", "top_p")),
    Case("shares", ["splits.fit=0.9"], ("splits", "sum to 1")),
    Case("no C", ["probe.C=[]"], ("probe", "at least one value")),
    Case("negative C", ["probe.C=[-1]"], ("probe", "above 0")),
    Case("negative tolerance of the choice", ["choice.tolerance=-1"], ("choice", "tolerance must not be negative")),
    Case("mistyped choice of C", ["choice=papr"], ("choice=papr", "did you mean 'paper'")),
    Case("one resample", ["stability.resamples=1"], ("stability", "resamples must be 0 or at least 2")),
    Case("one sample to compare", ["mechanism.samples=1"], ("mechanism", "samples must be 0 or at least 2")),
    Case(
        "no words for sure", ["mechanism.asking=[{question: sure?, sure: [], unsure: [no]}]"], ("mechanism", "asking")
    ),
    Case("no file of counts", on_good_questions("mechanism.counts=c.csv"), ("the file c.csv does not exist",)),
    Case("negative count", counted("entity,count\n0,-1\n"), ("c.csv, row 1", "a number from 0, not '-1'")),
    Case("counts without counts", counted("entity,number\n0,1\n"), ("c.csv, row 1 has no 'count'", "entity, number")),
    Case("one alpha", ["intervention.alphas=[1]"], ("intervention", "two different")),
    Case("negative alpha", ["intervention.alphas=[-1,1]"], ("intervention", "below 0")),
    Case(
        "unknown control",
        ["intervention.controls=[lucky]"],
        ("intervention.controls", "'random', 'layer_matched', 'contribution_matched' or 'norm_matched'"),
    ),
    Case("one random set", ["detection.control_seeds=1"], ("detection", "at least 2")),
    Case("regions without the answer", ["contribution.regions=[other]"], ("contribution", "'answer'")),
    Case("labeling lacks its region", ["contribution.regions=[answer]"], ("3-vs-1", "contribution.regions", "other")),
    Case("part without target", ["~probe._target_"], ("probe", "_target_")),
    Case("class that does not exist", ["judge._target_=hneuro.verdicts.rule.Juge"], ("judge._target_", "Juge")),
    Case(
        "part in the wrong place", ["tracker._target_=hneuro.models.chat.Prompting"], ("tracker", "a Tracker is needed")
    ),
    Case("environment variable that is not set", ["name=${oc.env:HNEURO_NOT_SET}"], ("HNEURO_NOT_SET",)),
    Case("no question file", ["dataset=file"], ("dataset.identification.path",)),
    Case(
        "question file that does not exist",
        lambda _, model: [*tiny(model), "dataset=file", "dataset.identification.path=gone.jsonl"],
        ("gone.jsonl", "does not exist"),
    ),
    Case("empty question file", questions(""), ("no questions",)),
    Case("not JSON", questions("{broken\n"), ("q.jsonl", "line 1")),
    *(
        Case(
            f"answers {answers}",
            questions([{"question": "?", "answers": answers}]),
            ("row 1", "'answers' must be text"),
        )
        for answers in ([["a", "b"]], [{"value": "a"}], True, [False])
    ),
    *(
        Case(
            f"question {asked}", questions([{"question": asked, "answers": "a"}]), ("row 1", "'question' must be text")
        )
        for asked in (["a"], {"text": "a"}, True)
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
    Case("missing column", questions([{"query": "?", "answers": ["a"]}]), ("'question'", "query")),
    Case(
        "questions without answers",
        questions([{"question": f"{n}?", "answers": []} for n in range(9)]),
        ("none of its 9 questions is left", "9 no gold answer"),
    ),
    Case(
        "question without text",
        questions([{"question": " ", "answers": ["a"], "id": "q7"}]),
        ("'q7'", "no text"),
    ),
    Case(
        "repeated id",
        questions([*good_rows(3), good_rows(1)[0] | {"question": "Another?"}]),
        ("id '0'", "more than once", "different questions"),
    ),
    Case("too few to split", questions(good_rows(2)), ("2 groups", "more questions")),
    Case(
        "unknown kind of file",
        lambda _, model: [*tiny(model), "dataset=file", f"dataset.identification.path={model}/config.yaml"],
        ("config.yaml",),
    ),
    Case("model that is not there", on_good_questions("model.chat.path=/nowhere/model"), ("/nowhere/model",)),
    Case("folder that is no model", no_config, ("empty", "config.json")),
    Case("chat benchmark on a base model", without_template, ("no chat template", "instruction-tuned")),
    Case("more neurons than there are", on_good_questions("intervention.ranked=150"), ("intervention.ranked", "192")),
    Case(
        "ranking of more neurons than there are",
        on_good_questions("probe=ranking", "probe.counts=[500]", "intervention.ranked=0"),
        ("probe.counts", "192"),
    ),
    Case(
        "model that knows nothing", on_good_questions("intervention.ranked=0"), ("faithful answers", "more questions")
    ),
    Case(
        "multiple-choice labels of questions without options",
        lambda folder, model: [*questions(good_rows())(folder, model), *LETTERS, "contribution=last_prompt"],
        ("'0' has no options", "sampling=transformers"),
    ),
    Case(
        "options that nobody asks for", questions(with_options()), ("has options", "sampling=letters and judge=letter")
    ),
    Case("letters without their region", LETTERS, ("mcq-contrastive", "contribution.regions", "last_prompt")),
    Case("letters read as texts", ["sampling=letters"], ("sampling=letters with judge=letter",)),
    Case("texts read as letters", ["judge=letter"], ("sampling=letters with judge=letter",)),
    Case("letter labels of texts", ["labeling=mcq_non_contrastive"], ("mcq-non-contrastive", "sampling=letters")),
    Case(
        "a letter and the token before it, at one position",
        [*LETTERS, "contribution=last_prompt", "contribution.position=predicting"],
        ("mcq-contrastive", "contribution.position=token"),
    ),
    Case(
        "answer that is no option",
        questions([{"question": "?", "answers": "E", "options": ["x", "y"]}]),
        ("row 1", "'E' is none of the 2 options"),
    ),
    Case(
        "broken line", questions('{"question": "?", "answers": "a"}\n\n{"question"'), ("q.jsonl", "line 3 is not JSON")
    ),
    Case(
        "csv that is not UTF-8", data("q.csv", "question,answers\nWo?,Zürich\n".encode("latin-1")), ("q.csv", "UTF-8")
    ),
    Case("parquet that is none", data("q.parquet", b"PAR1 or not"), ("cannot read q.parquet",)),
    Case("json that is no list", data("q.json", b'{"question": "?"}'), ("q.json", "list of JSON objects")),
    Case(
        "folder of several kinds",
        lambda folder, model: [
            *data("d/a.csv", b"x\n")(folder, model),
            *data("d/b.jsonl", b"")(folder, model),
            path("d"),
        ],
        ("several kinds", "files="),
    ),
    Case(
        "a split that no file is of",
        lambda folder, model: [
            *data("d/train.csv", b"x\n")(folder, model),
            path("d"),
            "dataset.identification.split=test",
        ],
        ("no file for test", "train.csv"),
    ),
    Case(
        "hub data without a hub",
        lambda _, model: [*tiny(model), "dataset=triviaqa"],
        ("mandarjoshi/trivia_qa", "HF_HUB_OFFLINE is set", "path="),
    ),
    Case(
        "TriviaQA without its columns",
        trivia({"question": "?", "answers": ["a"]}),
        ("t.jsonl, row 1", "'question_id'", "it has question, answers"),
    ),
    Case(
        "TriviaQA with an answer of another type",
        trivia({"question": "?", "question_id": "1", "answer": "a"}),
        ("t.jsonl, row 1", "'answer' must be an object"),
    ),
    Case(
        "TriviaQA with empty aliases",
        trivia({"question": "?", "question_id": "1", "answer": {"value": "", "aliases": []}}),
        ("triviaqa", "1 no gold answer"),
    ),
    Case(
        "BioASQ without factoid questions",
        lambda folder, model: [
            *data("b.json", b'{"questions": [{"body": "?", "type": "yesno"}]}', "bioasq")(folder, model),
        ],
        ("bioasq", "1 not a factoid question"),
    ),
    Case(
        "no recording", lambda _, model: [*tiny(model), "dataset=recorded", path("r.jsonl")], ("r.jsonl", "not exist")
    ),
    Case("empty recording", recorded(""), ("r.jsonl", "it is empty")),
    Case(
        "recording with a verdict that is none",
        recorded('{"question_id": "q", "question": "?", "text": "a", "verdict": "maybe"}'),
        ("row 1", "'maybe' is none of correct"),
    ),
    Case(
        "names file that is not there",
        made_up("real_names=gone.txt"),
        ("real_names: the file gone.txt does not exist",),
    ),
    Case("no made-up questions", made_up("count=0"), ("dataset.identification", "count must be between")),
    Case("made-up things of no kind", made_up("kinds=[dragon]"), ("'dragon'", "there are animal, plant")),
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
        "benchmark file that is not there",
        on_good_questions("benchmark=falseqa", "benchmark.falseqa.path=f.csv", "grader.model=m"),
        ("f.csv does not exist",),
    ),
    Case(
        "benchmark of nothing",
        lambda folder, model: [
            *data("f.csv", b"question,answer,label\n?,x,0\n")(folder, model),
            *on_good_questions("benchmark=falseqa", "benchmark.falseqa.path=f.csv", "grader.model=m")(folder, model),
        ],
        ("benchmark.falseqa has no prompts",),
    ),
    Case(
        "unknown frame",
        ["benchmark=faitheval", "benchmark.faitheval.framing=none"],
        ("framing", "'context' or 'resist'"),
    ),
    Case("unknown span", ["span=rules"], ("span=rules", "did you mean 'rule'")),
    Case("unknown occurrence", ["span=rule", "span.occurrence=second"], ("span.occurrence", "'second'", "'first'")),
    Case("filler that is no pattern", ["span.fillers=['(so']"], ("span", "'(so'", "no regular expression")),
    Case("filler of the rule that is no pattern", ["span=rule", "span.short_answer.fillers=['*']"], ("'*'",)),
    Case("share of a span", ["span.max_share=0"], ("span", "max_share must be above 0")),
    Case("no words in a phrase", ["span=rule", "span.most_words=0"], ("span", "most_words must be at least 1")),
    Case("loss that is no share", ["max_span_loss=2"], ("max_span_loss", "between 0 and 1")),
    Case("loss that is no number", ["max_span_loss=few"], ("max_span_loss", "few")),
    Case("letters located in texts", ["span=letter"], ("letters of options", "choose another span")),
    Case("llm that is not named", ["span=llm"], ("span.client.endpoint.model",)),
    Case(
        "client that asks nobody",
        ["span=llm", "~span.client", "+span.client={_target_:hneuro.spans.letter.LetterLocator}"],
        ("span.client", "LetterLocator", "Client"),
    ),
    Case(
        "prompt without the response",
        ["span=llm", "~span.client", "+span.client={_target_:lab_parts.Copyist}", "span.prompt=Copy"],
        ("span", "{question} and {response}"),
    ),
    Case("recorded without a file", ["span=recorded"], ("span.path",)),
    Case("recorded file that is not there", ["span=recorded", "span.path=gone.jsonl"], ("gone.jsonl", "not exist")),
    Case(
        "recorded file without answer tokens",
        lambda folder, _: [
            "span=recorded",
            f"span.path={recording(folder, {'question_id': 'q', 'text': 'x'})}",
        ],
        ("span", "has no answer tokens"),
    ),
    Case(
        "recorded tokens that are none",
        lambda folder, _: [
            "span=recorded",
            f"span.path={recording(folder, {'question_id': 'q', 'text': 'x', 'answer_tokens': [1]})}",
        ],
        ("row 1", "'answer_tokens' must be a list of texts"),
    ),
    Case("judge without a model", ["judge=llm"], ("judge.endpoint.model", "a value is needed here")),
    Case(
        "judge that is asked nowhere", [*LLM, "judge.endpoint.base_url=localhost:8000"], ("judge.endpoint", "http://")
    ),
    Case("key in the config", [*LLM, "judge.endpoint.api_key_env=sk-12"], ("judge.endpoint", "NAME of an environment")),
    Case("prompt without the response", [*LLM, "judge.answerable.prompt='Is {x} right?'"], ("judge", "{response}")),
    Case("labels that are no verdicts", [*LLM, "judge.answerable.labels=[yes,no]"], ("judge", "correct, incorrect")),
    Case("one judge that votes", [*VOTE, "~judge.members.llm"], ("judge", "at least two judges")),
    Case("unknown rule of voting", [*VOTE, "judge.rule=dice"], ("judge.rule", "'dice'", "'majority'")),
    Case(
        "letters and texts vote",
        [*VOTE, "+judge.members.other={_target_:hneuro.verdicts.letter.LetterJudge}"],
        ("judge", "letters, or all texts"),
    ),
    Case("broken pattern", ["judge.refusal.refusing=['(']"], ("judge.refusal", "refusing", "no regular expression")),
    Case("server without a model", ["sampling=server"], ("sampling.endpoint.model", "a value is needed here")),
    Case("no samples of a server", [*SERVER, "sampling.samples=0"], ("sampling", "at least 1")),
    Case("server that is not there", on_good_questions(*SERVER, NOWHERE), ("cannot reach m at", "start the server")),
    Case(
        "cache in a place that is none",
        on_good_questions(*SERVER, NOWHERE, "sampling.endpoint.cache=q.jsonl/answers"),
        ("q.jsonl/answers", "choose another file"),
    ),
    Case(
        "labels that are not there",
        on_good_questions("judge=labels", "judge.path=no.csv"),
        ("no.csv", "does not exist"),
    ),
    Case(
        "labels of another meaning",
        labelled({"id": "0", "sample": 0, "verdict": "meh"}),
        ("labels.jsonl, row 1", "'meh' is none of"),
    ),
    Case("labels of no response", labelled({"id": "0", "verdict": "correct"}), ("row 1 names no response", "'sample'")),
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


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 25


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
