"""Answer-only responses: a letter, or everything but filler, quotes, closing punctuation and what explains."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hneuro.records import Question, Response
from hneuro.spans.short_answer import LetterLocator, ShortAnswer

ANSWERS = [
    ("Paris", "Paris"),
    (" Paris.", "Paris"),
    ("The answer is William Shakespeare.", "William Shakespeare"),
    ("The answer is:\n\nParis", "Paris"),
    ("Sure, it is Paris!", "Paris"),
    ("It's Paris", "Paris"),
    ("That’s the Tiber.", "the Tiber"),
    ("Well, they were the Beatles;\n", "the Beatles"),
    ("It wasn't me", "It wasn't me"),
    ("They were married.", "They were married"),  # filler stands before a name, a number or an article
    ("\n\nParis\n\n\n", "Paris"),
    ("\u00a0Paris\u3000\f", "Paris"),
    ("Approximately 30", "30"),
    ("Around the World", "Around the World"),
    # Quotes and markup.
    ("“Hamlet”", "Hamlet"),
    ('"Hamlet."', "Hamlet"),
    ("The answer is **Hamlet**.", "Hamlet"),
    ('The answer is "Hamlet".', "Hamlet"),
    ("*The Ballad of Mac West*", "The Ballad of Mac West"),
    ("« Hamlet »", "Hamlet"),
    ("「東京」。", "東京"),
    ('"Yes" and "No"', '"Yes" and "No"'),
    ("“Baby Doc” – a dictator", "“Baby Doc” – a dictator"),
    ("'Don't Stop'", "Don't Stop"),
    ("'Round Midnight", "'Round Midnight"),
    ("the Beatles'", "the Beatles'"),
    ('"Where the Boys', "Where the Boys"),  # cut before its end
    ('Hamlet"', "Hamlet"),
    ("(Paris)", "Paris"),
    # Not one published span holds an apostrophe.
    ("Eugene O’Neill.", "Eugene O’Neill"),
    ("d'Artagnan's", "d'Artagnan's"),
    # Abbreviations.
    ("R.E.M.", "R.E.M."),
    ("Martin Luther King Jr.", "Martin Luther King Jr"),
    # What explains.
    ("Timur (Tamerlane)", "Timur"),
    ('"Where the Boys Are" (1960)', "Where the Boys Are"),
    ("奉仕者（ほうししゃ）", "奉仕者"),
    ("University College London (UCL)", "University College London (UCL)"),
    ("West Germany (player), Italy (coach)", "West Germany (player), Italy (coach)"),
    ("Cu₂CO₃(OH)₂", "Cu₂CO₃(OH)₂"),
    ("(I Can't Get No) Satisfaction", "(I Can't Get No) Satisfaction"),
    ("1608\n\nJanuary: continues his work.", "1608"),
    ("Lucinda Russell\nKatie Walsh", "Lucinda Russell\nKatie Walsh"),
    # Any script.
    ("Beyonce\u0301", "Beyonce\u0301"),
    ("🦊 and 🐻", "🦊 and 🐻"),
]


@pytest.mark.parametrize(("said", "answer"), ANSWERS)
def test_the_answer_and_the_tokens_that_hold_it(said: str, answer: str, ask: Any) -> None:
    """The byte-level tokenizer splits every character that is not ASCII."""
    span = ask(ShortAnswer(), said)
    assert (span.text, span.method, span.reason) == (answer, "short_answer", "")
    assert ask.shown(span, said).strip(" \n.;!*”“\"«»'()") == answer.strip(" .”“\"«»'()")


@pytest.mark.parametrize(
    "said", ["Eugene O'Neill", "It is d’Artagnan.", "The answer is Paris (1900).", "1969", "Łódź."]
)
def test_every_kind_of_tokenizer(said: str, ask_any: Any) -> None:
    span = ask_any(ShortAnswer(), said)
    text = ask_any.speaker.response(said).text
    start, stop = ShortAnswer().characters(text)
    assert span.text == text[start:stop]
    assert span.text in ask_any.shown(span, said)
    assert len(ask_any.shown(span, said)) <= len(span.text) + 1  # the blank of its first token


@pytest.mark.parametrize(
    "said", ["", "   ", "The answer is", "It was.", "...", "\n", '""', "()", "**", "\f", "\u00a0 \u3000"]
)
def test_a_response_without_answer_has_no_span_but_a_reason(said: str, ask: Any) -> None:
    assert ask(ShortAnswer(), said).reason == "nothing but filler"


def test_a_long_winded_response_is_refused_where_asked(ask: Any) -> None:
    assert ask(ShortAnswer(max_share=0.5), "Paris is a city").reason == "the answer is most of a long response"
    assert ask(ShortAnswer(max_share=0.9), "The answer is without any explanation Paris").tokens


def test_what_explains_is_kept_where_asked(ask: Any) -> None:
    assert ask(ShortAnswer(gloss="keep"), "Timur (Tamerlane)").text == "Timur (Tamerlane)"
    assert ask(ShortAnswer(paragraphs="all"), "1608\n\nAnd more.").text == "1608\n\nAnd more"
    assert ask(ShortAnswer(fillers=()), "It is Paris").text == "It is Paris"


def test_a_text_that_is_not_of_its_tokens_is_not_guessed_at(
    bytes_speaker: Any, make_response: Callable[..., Response]
) -> None:
    """A trimmed or re-tokenised text has other offsets."""
    ids = bytes_speaker.ids("  Paris")
    question = Question(id="q", dataset="d", text="Where?", answers=("Paris",), entity="e")
    (span,) = ShortAnswer().locate([(question, make_response(ids, "Paris"))], bytes_speaker.decode)
    assert (span.tokens, span.reason) == ((), "the tokens do not add up to the text")


def test_a_response_that_ends_in_the_middle_of_a_character(
    bytes_speaker: Any, make_response: Callable[..., Response]
) -> None:
    ids = bytes_speaker.ids("It is 東京")[:-2]  # without the end of the turn and the last byte
    text = bytes_speaker.decode(ids)
    assert text == "It is 東\ufffd"
    question = Question(id="q", dataset="d", text="Where?", answers=(), entity="e")
    (span,) = ShortAnswer().locate([(question, make_response(ids, text))], bytes_speaker.decode)
    assert span.text == "東\ufffd"
    assert bytes_speaker.decode([ids[n] for n in span.tokens]) == "東\ufffd"
    assert span.tokens[-1] == len(ids) - 1


@pytest.mark.parametrize(
    ("options", "says"),
    [({"fillers": ("(so",)}, "not a regular expression"), ({"max_share": 0}, "max_share"), ({"max_share": 1.5}, "1.5")],
)
def test_impossible_settings_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        ShortAnswer(**options)


OPTIONS = ("Tiber", "Rhine", "Seine")


@pytest.mark.parametrize(
    "said", ["B", " B", "(B)", "**B**", "B. Rhine", "B) Rhine", "\nB. the Rhine\n", '"B"', "B.\nBecause of A and C."]
)
def test_the_letter_and_nothing_else(said: str, ask_any: Any) -> None:
    span = ask_any(LetterLocator(), said, options=OPTIONS)
    assert (span.text, span.method) == ("B", "letter")
    assert ask_any.shown(span, said).strip(' ().*"\n:') == "B"
    assert len(span.tokens) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Because", "no letter alone"),  # its first letter is that of an option
        ("", "no letter alone"),
        ("I say B", "no letter alone"),
        ("D", "no option has this letter"),
    ],
)
def test_anything_else_is_counted(said: str, reason: str, ask: Any) -> None:
    assert ask(LetterLocator(), said, options=OPTIONS).reason == reason
