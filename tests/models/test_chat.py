"""Prompts are rendered once, with one BOS, by the model's own template."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from hneuro.models.chat import Prompting
from hneuro.models.language_model import LanguageModel
from hneuro.records import UserError
from hneuro.responses.sampler import before_stop

SUFFIX = " Respond with the answer only, without any explanation."


def with_template(tokenizer: Any, template: str | None) -> Any:
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def test_a_question_ends_where_the_assistant_begins_to_speak(tokenizer: Any) -> None:
    ids = Prompting().question_ids(tokenizer, "Where is Rome?")
    assert tokenizer.decode(ids) == f"<bos><user>Where is Rome?{SUFFIX}<end><assistant>"
    assert ids.count(tokenizer.bos_token_id) == 1


def test_the_system_prompt_comes_first(tokenizer: Any) -> None:
    template = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    ids = Prompting(system="Be brief.", suffix="").question_ids(with_template(tokenizer, template), "Where?")
    assert tokenizer.decode(ids) == "<bos>[system]Be brief.[user]Where?"


@pytest.mark.parametrize(
    ("template", "prompting", "why"),
    [
        ("", {}, "leaves out what it is given"),
        ("{{ bos_token }}<user><end><assistant>", {}, "leaves out what it is given"),
        ("{{ bos_token }}Answer the question.", {}, "leaves out what it is given"),
        (None, {}, "has no chat template: use an instruction-tuned checkpoint"),
        ("{{ bos_token }}{{ bos_token }}{{ messages[0]['content'] }}", {}, "two BOS tokens"),
        (
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}x",
            {"system": "Be brief."},
            "refuses the prompt: No system role",
        ),
        ("{{ messages[0]['content'] }}", {"template_options": {"enable_thinking": False}}, "has no option 'enable_th"),
    ],
)
def test_a_template_that_does_not_do_what_it_should_is_named(
    template: str | None, prompting: dict[str, Any], why: str, tokenizer: Any
) -> None:
    with pytest.raises(UserError, match=why):
        Prompting(**prompting).question_ids(with_template(tokenizer, template), "Where?")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"template_options": {"add_generation_prompt": False}}, "cannot set add_generation_prompt"),
        ({"completion": "Answer:"}, "completion must contain"),
        ({"chat": False, "system": "Be brief."}, "chat=false does without"),
    ],
)
def test_prompting_that_cannot_be_meant(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Prompting(**fields)


def test_a_base_model_completes(base_model: LanguageModel, tokenizer: Any) -> None:
    with pytest.raises(UserError, match="two BOS tokens"):
        Prompting(completion="<bos>{question}").completion_ids(tokenizer, "Where?")
    ids = base_model.prompt_ids("What is {x}?")
    assert base_model.tokenizer.decode(ids) == "<bos>What is {x}?\nAnswer:"


def test_a_chat_model_without_template_completes_a_transcript(language_model: LanguageModel) -> None:
    prompting = Prompting(chat=False, completion="Question: {question}\nAnswer:")
    model = LanguageModel(language_model.source, replace(language_model.spec, prompting=prompting), completion=False)
    asked = "<bos>Question: Where is Kofu?\nAnswer:"
    assert model.tokenizer.decode(model.prompt_ids("Where is Kofu?")) == asked
    messages = [
        {"role": "user", "content": "Where is Kofu?"},
        {"role": "assistant", "content": " Japan. "},
        {"role": "user", "content": "Are you sure?"},
    ]
    said = f"{asked} Japan.\nQuestion: Are you sure?\nAnswer:"
    assert model.tokenizer.decode(model.chat_ids(messages)) == said
    assert not model.is_base


def test_a_completion_ends_where_its_stop_is_written(language_model: LanguageModel) -> None:
    """The same records as with every token generated; the end of text ends it as well."""
    prompting = Prompting(chat=False, completion="{question} A:", completion_stop="e")
    model = LanguageModel(language_model.source, replace(language_model.spec, prompting=prompting), completion=False)
    (stop,) = model.tokenizer("e", add_special_tokens=False)["input_ids"]
    assert model.loaded.model.generation_config.eos_token_id == sorted([model.tokenizer.eos_token_id, stop])
    assert before_stop(model, [*model.tokenizer("Hamlt", add_special_tokens=False)["input_ids"], stop, 40]) > 0
    ids = model.tokenizer("on is here", add_special_tokens=False)["input_ids"]
    assert "e" not in model.text_of(ids[: before_stop(model, ids)])
    assert before_stop(language_model, ids) == len(ids)
