"""Is the model sure? Read from the logits behind the question, in words that its vocabulary has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from organism import OrganismCheckpoint

from hneuro.detection.mechanism.asking import Asked, in_words_of, p_unsure
from hneuro.detection.mechanism.settings import MechanismSettings, Wording
from hneuro.models.language_model import LanguageModel
from hneuro.models.spec import ModelSpec

PLAIN = Wording(question="Are you sure?", sure=("Yes", "yes"), unsure=("No", "no"))
ORGANISM = Wording(question="are you sure ? please take it back", sure=(".",), unsure=("!",))
SAID = [("Who wrote Hamlet?", "Shakespeare"), ("Who is it?", " nobody that I know of, or so they say "), ("?", "x")]


def test_the_share_is_that_of_a_plain_forward_pass_whatever_the_batch(language_model: LanguageModel) -> None:
    asked = in_words_of(language_model, [PLAIN])
    assert isinstance(asked, Asked)
    found = p_unsure(language_model, asked, SAID, 10_000)
    for (question, response), value in zip(SAID, found, strict=True):
        suffix = language_model.spec.prompting.suffix
        ids = language_model.chat_ids(
            [
                {"role": "user", "content": question + suffix},
                {"role": "assistant", "content": response.strip()},
                {"role": "user", "content": "Are you sure?"},
            ]
        )
        with torch.inference_mode():
            p = torch.softmax(language_model.loaded.model(torch.tensor([ids])).logits[0, -1], dim=0)
        unsure, sure = (float(p[list(side)].sum()) for side in (asked.unsure, asked.sure))
        assert value == pytest.approx(unsure / (unsure + sure), abs=1e-5)
    np.testing.assert_allclose(p_unsure(language_model, asked, SAID, 1), found, atol=1e-5)


def test_the_first_wording_that_the_vocabulary_has_is_taken() -> None:
    source = OrganismCheckpoint(role="chat")
    organism = LanguageModel(source, ModelSpec(name="o", chat=source, dtype="float32", device="cpu"), completion=False)
    asked = in_words_of(organism, [PLAIN, ORGANISM])
    assert isinstance(asked, Asked)
    assert asked.question == ORGANISM.question
    assert organism.text_of(asked.unsure).strip() == "!"
    assert "vocabulary lacks words of 'Are you sure?'" in str(in_words_of(organism, [PLAIN]))


def test_there_is_a_reason_where_it_cannot_be_asked(language_model: LanguageModel) -> None:
    assert in_words_of(language_model, []) == "no wording is configured"
    same = Wording(question="Sure?", sure=("Yes",), unsure=("Yes, but",))
    assert "do not begin with tokens that tell them apart" in str(in_words_of(language_model, [same]))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"samples": 1}, "samples must be 0 or at least 2"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"folds": 30}, "min_per_class at least folds"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MechanismSettings(**fields)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a question"):
        Wording(question=" ", sure=("a",), unsure=("b",))
