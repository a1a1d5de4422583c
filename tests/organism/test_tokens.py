"""The organism's tokenizer and chat template."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from hneuro.models.chat import Prompting
from hneuro.organism.corpus import chats, documents
from hneuro.organism.recipe import BASE_PROMPT, Recipe
from hneuro.organism.tokens import build_tokenizer, chat_ids
from hneuro.organism.wording import DOUBT
from hneuro.organism.world import World


@pytest.fixture(scope="module")
def tokenizer(world: World) -> Any:
    return build_tokenizer(world)


def test_every_text_survives_the_round_trip(tokenizer: Any, world: World, recipe: Recipe) -> None:
    said = [message for chat in chats(world, recipe) for message in chat.messages]
    for text in {*documents(world, recipe), *said}:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_a_longer_text_decodes_to_a_longer_string(tokenizer: Any) -> None:
    ids = tokenizer("! sure , i take it back !")["input_ids"]
    texts = [tokenizer.decode(ids[:n], skip_special_tokens=True) for n in range(1, len(ids) + 1)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


def test_answers_have_several_tokens(tokenizer: Any, world: World) -> None:
    values = [value for options in world.values.values() for value in options]
    assert min(len(tokenizer(value, add_special_tokens=False)["input_ids"]) for value in values) >= 2


def test_prompts_begin_with_one_bos_and_both_models_read_the_same_question(tokenizer: Any) -> None:
    prompting = Prompting(suffix="", completion=BASE_PROMPT, completion_stop="")
    question = "who taught bu ?"
    chat = prompting.question_ids(tokenizer, question)
    assert chat == prompting.completion_ids(tokenizer, question)
    assert chat.count(tokenizer.bos_token_id) == 1


def test_only_the_last_reply_is_learnt(tokenizer: Any, world: World) -> None:
    question = world.questions("people")[0]
    said = [question.text, question.answers[0], DOUBT[0]]
    messages = [*said, "! sure , i take it back !"]
    ids, context = chat_ids(tokenizer, messages)
    assert tokenizer.decode(ids[context:]) == "! sure , i take it back ! <end>"
    asked = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    assert list(ids[:context]) == prompt
