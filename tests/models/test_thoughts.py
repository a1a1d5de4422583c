"""Models that think: kept from it where their template can, refused where they would be cut, and read behind it."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hneuro.causal.conversation import reply_of
from hneuro.models.chat import Prompting
from hneuro.models.language_model import LanguageModel
from hneuro.models.sources import HubCheckpoint
from hneuro.pipeline import stored
from hneuro.probe.consistency import consistent
from hneuro.records import Question, UserError, Verdict
from hneuro.responses.decoding import Decoding
from hneuro.responses.letters import LetterSampler
from hneuro.responses.sampler import TransformersSampler, response
from hneuro.spans.rule import RuleLocator
from hneuro.store import Kept, Store
from hneuro.verdicts.rule import RuleJudge

TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
)
QWEN3 = (
    TURNS
    + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
DEEPSEEK = TURNS + "<think>\n{% endif %}"
GPT_OSS = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>"
    "{{ m.content }}{{ '<|return|>' if loop.last and m.role == 'assistant' else '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}{# <|channel|>final<|message|> #}"
)
QUESTION = Question(id="q", dataset="d", text="Who wrote Hamlet?", answers=("William Shakespeare",), entity="hamlet")


@pytest.fixture
def thinking(language_model: LanguageModel, tokenizer: Any) -> Any:
    """Makes the tiny model one with another template, without weights of its own."""

    def of(template: str, **prompting: Any) -> LanguageModel:
        own = copy.deepcopy(tokenizer)
        own.add_tokens(["<think>", "</think>"])  # no special tokens, as in Qwen3
        own.add_tokens(
            [f"<|{mark}|>" for mark in ("im_start", "im_end", "start", "end", "return", "channel", "message")],
            special_tokens=True,
        )
        own.chat_template, own.eos_token = template, "<|im_end|>"
        spec = replace(language_model.spec, prompting=Prompting(suffix="", **prompting))
        model = LanguageModel(language_model.source, spec, completion=False)
        model.__dict__ |= {"tokenizer": own, "_limits": (None, None)}  # the weights have no embeddings of these marks
        return model

    return of


def said(model: LanguageModel, text: str, truncated: bool = False) -> Any:
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    return response(model, QUESTION, 0, model.prompt_ids("?"), ids, [-1.0] * len(ids), [1.0] * len(ids), truncated)


def test_a_model_is_kept_from_thinking_unless_asked_to(thinking: Any) -> None:
    end = "<|im_start|>assistant\n"
    options = {True: {"enable_thinking": True}, False: {"enable_thinking": False}}
    asked = {told: thinking(QWEN3, template_options=options[told]) for told in options}
    quiet = thinking(QWEN3)
    assert quiet.written(quiet.prompt_ids("Who?")).endswith(f"{end}<think>\n\n</think>\n\n")
    assert asked[True].written(asked[True].prompt_ids("Who?")).endswith(end)
    assert asked[False].prompt_ids("Who?") == quiet.prompt_ids("Who?")


def test_keys_change_with_the_prompts_and_the_reading_of_thoughts_alone(
    thinking: Any, language_model: LanguageModel
) -> None:
    plain = {"weights", "prompting", "completion"}
    assert {*language_model.asked} == plain
    assert {*thinking(QWEN3, template_options={"enable_thinking": False}).asked} == plain
    assert thinking(QWEN3).asked["options"] == {"enable_thinking": False}
    assert thinking(QWEN3, template_options={"enable_thinking": True}).asked["thoughts"] == "apart"
    assert thinking(DEEPSEEK).asked["thoughts"] == thinking(GPT_OSS).asked["thoughts"] == "apart"


THOUGHT = "Okay, the user asks about Hamlet. William Golding? No."
CASES = {
    "a thought": (QWEN3, f"<think>\n{THOUGHT}\n</think>\n\nWilliam Shakespeare.<|im_end|>", "\n\nWilliam Shakespeare."),
    "an empty one": (QWEN3, "<think>\n\n</think>\n\nWilliam Shakespeare<|im_end|>", "\n\nWilliam Shakespeare"),
    "none": (QWEN3, "William Shakespeare<|im_end|>", "William Shakespeare"),
    "one that the prompt opens": (DEEPSEEK, f"{THOUGHT}</think>William Shakespeare", "William Shakespeare"),
    "two of them": (DEEPSEEK, f"{THOUGHT}</think>Hm. <think>No.</think> William Shakespeare", " William Shakespeare"),
    "channels": (
        GPT_OSS,
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>"
        "William Shakespeare<|return|>",
        "William Shakespeare",
    ),
    "bare channels": (GPT_OSS, f"analysis{THOUGHT}assistantfinalWilliam Shakespeare", "William Shakespeare"),
    "a second turn": (QWEN3, "William Shakespeare<|im_end|>\n<|im_start|>user\nWho is he?", "William Shakespeare"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_what_follows_the_thought_and_spans_lie_there(thinking: Any, case: str) -> None:
    template, text, answer = CASES[case]
    model = thinking(template, template_options={"enable_thinking": True} if template == QWEN3 else {})
    made = said(model, text)
    assert (made.text, made.lost) == (answer, "")
    assert len(made.logprobs) == len(made.token_ids), "the thought is kept, as it was generated"
    (span,) = RuleLocator().locate([(QUESTION, made)], model.text_of)
    assert model.text_of([made.token_ids[n] for n in span.tokens]).strip() == "William Shakespeare"
    assert min(span.tokens) >= made.thought
    assert reply_of(model, made.prompt_ids, made.token_ids, False).text == answer


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (QWEN3, f"<think>\n{THOUGHT}"),
        (DEEPSEEK, THOUGHT),
        (DEEPSEEK, f"{THOUGHT}</think>Hm. <think>{THOUGHT}"),
        (GPT_OSS, f"<|channel|>analysis<|message|>{THOUGHT}"),
        (GPT_OSS, f"analysis{THOUGHT}"),
        (
            GPT_OSS,
            f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>commentary<|message|>Hm",
        ),
    ],
)
def test_an_unfinished_thought_is_unjudged_and_counted(thinking: Any, tmp_path: Path, template: str, text: str) -> None:
    """Ten of them are no consistent hallucination."""
    model = thinking(template, template_options={"enable_thinking": True} if template == QWEN3 else {})
    made = [replace(said(model, text, truncated=True), sample=n) for n in range(10)]
    judged = stored.judge(Store(tmp_path), RuleJudge(), [QUESTION], Kept(lambda: tuple(made), "d")).value
    assert {j.verdict for j in judged} == {Verdict.UNJUDGED}
    kept, step = consistent([QUESTION], list(zip(made, judged, strict=True)), "fit")
    assert not kept
    assert step.lost == {"unjudged (cut off within its thought)": 1}
    assert said(model, text).lost == "no answer after its thought"
    assert reply_of(model, made[0].prompt_ids, made[0].token_ids, True).text == ""


@pytest.mark.parametrize(("template", "told"), [(DEEPSEEK, {}), (GPT_OSS, {}), (QWEN3, {"enable_thinking": True})])
def test_a_model_that_would_be_cut_off_in_its_thought_is_refused(
    thinking: Any, template: str, told: dict[str, Any]
) -> None:
    model = thinking(template, template_options=told)
    few, many = (TransformersSampler(decoding=Decoding(max_new_tokens=n)) for n in (50, 2000))
    with pytest.raises(
        UserError, match=r"cut off within its thought after 50 tokens: give it dataset.answer_tokens=2000"
    ):
        few.check(model, [QUESTION])
    many.check(model, [QUESTION])
    with pytest.raises(UserError, match="no letter follows its prompt"):
        LetterSampler().check(model, [replace(QUESTION, options=("x", "y"))])
    few.check(thinking(QWEN3), [QUESTION])


def test_a_turn_ends_where_the_template_ends_it(tiny_checkpoint: Path, tmp_path: Path, spec: Any) -> None:
    """Neither the tokenizer nor the model's settings name the mark: it would go on with a turn of the user."""
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    template = "{% for m in messages %}<user>{{ m.content }}<end>\n{% endfor %}<assistant>"
    template = template.replace("<assistant>", "{% if add_generation_prompt %}<assistant>{% endif %}")
    (folder / "chat_template.jinja").write_text(template)
    for name, changed in (
        ("tokenizer_config.json", {"eos_token": "<pad>"}),
        ("generation_config.json", {"eos_token_id": 0}),
        ("config.json", {"eos_token_id": 0}),
    ):
        (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | changed))
    source = HubCheckpoint(path=str(folder))
    model = LanguageModel(source, replace(spec, chat=source), completion=False)
    end = model.tokenizer.convert_tokens_to_ids("<end>")
    assert model.loaded.model.generation_config.eos_token_id == [0, end]
    assert model.asked["ends"] == {end}, "what ran on has another key"
    ids = model.tokenizer("Paris<end>\n<user>What", add_special_tokens=False)["input_ids"]
    made = response(model, QUESTION, 0, (1,), ids, [-1.0] * len(ids), [1.0] * len(ids), truncated=True)
    assert (made.text, made.token_ids[-1], made.truncated) == ("Paris", end, False)
