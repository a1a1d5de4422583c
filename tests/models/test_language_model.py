"""The model under its prompting style."""

from hneuro.models.language_model import LanguageModel


def test_the_fixture_model_is_an_ordinary_checkpoint(language_model: LanguageModel) -> None:
    assert language_model.loaded.ffn.space.size == 3 * 64
    ids = language_model.prompt_ids("Who wrote Hamlet?")
    assert language_model.tokenizer.decode(ids) == (
        "<bos><user>Who wrote Hamlet? Respond with the answer only, without any explanation.<end><assistant>"
    )
