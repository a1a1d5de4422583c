"""Options, their letters, and which of them a gold answer means."""

from __future__ import annotations

from typing import Any

import pytest

from hneuro.questions.options import GoldForm, OptionLayout, option_texts, right_option

RIVERS = ("Po", "Tiber", "Arno")


def test_a_question_is_put_with_a_line_for_each_option() -> None:
    assert OptionLayout().text("Which river runs through Rome?", RIVERS) == (
        "Which river runs through Rome?\nA. Po\nB. Tiber\nC. Arno\nAnswer with the letter of the right option only."
    )


def test_options_with_braces_stay_as_they_are() -> None:
    assert OptionLayout(instruction="").text("?", ("{x}", "{letter} {option}")) == "?\nA. {x}\nB. {letter} {option}"


def test_a_layout_without_letters_is_refused() -> None:
    with pytest.raises(ValueError, match="must contain"):
        OptionLayout(option="- {option}")


@pytest.mark.parametrize(
    ("cell", "texts"),
    [
        (["Po", " Tiber ", 3], ("Po", "Tiber", "3")),
        ({"B": "Tiber", "A": "Po", "C": "Arno"}, RIVERS),
        ({"A": "Po", "B": "Tiber", "C": None}, ("Po", "Tiber")),  # parquet gives every row every key
        (["Po", "Tiber", "", None, float("nan")], ("Po", "Tiber")),
        ([None, ""], ()),
    ],
)
def test_options_are_a_list_or_an_object_by_letter(cell: Any, texts: tuple[str, ...]) -> None:
    assert option_texts(cell) == texts


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("Po, Tiber", "must be a list of options, not 'Po, Tiber'"),
        (["Po"], "2 to 26 options, not 1"),
        ([str(n) for n in range(27)], "2 to 26 options, not 27"),
        (["Po", "", "Arno"], "an empty option between others"),
        ({"A": "Po", "C": "Arno"}, "keys A, B, ..., not A, C"),
    ],
)
def test_what_is_no_list_of_options_is_refused(cell: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        option_texts(cell)


@pytest.mark.parametrize("said", ["Tiber", "B", 1, 1.0])
def test_an_answer_is_a_text_a_letter_or_an_index(said: Any) -> None:
    assert right_option(said, RIVERS, "auto") == 1


@pytest.mark.parametrize("said", [-1, "-1"])
def test_minus_one_says_that_no_answer_is_known(said: Any) -> None:
    assert right_option(said, RIVERS, "auto") is None


@pytest.mark.parametrize("said", ["Nile", "D", "b", 3, 1.5, True])
def test_an_answer_that_is_no_option_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="is none of the 3 options"):
        right_option(said, RIVERS, "auto")


@pytest.mark.parametrize(
    ("said", "options", "as_text", "otherwise", "form"),
    [
        ("1", ("0", "2", "1"), 2, 1, "index"),
        ("B", ("B", "A"), 0, 1, "letter"),
        ("-1", ("1", "-1"), 1, None, "index"),
    ],
)
def test_what_may_mean_two_options_is_not_guessed(
    said: Any, options: tuple[str, ...], as_text: int, otherwise: int | None, form: GoldForm
) -> None:
    with pytest.raises(ValueError, match="may mean different options"):
        right_option(said, options, "auto")
    assert right_option(said, options, "text") == as_text
    assert right_option(said, options, form) == otherwise


@pytest.mark.parametrize(("said", "form"), [("B", "text"), ("Tiber", "letter"), ("1", "letter"), ("B", "index")])
def test_a_form_that_is_named_is_the_only_one(said: str, form: GoldForm) -> None:
    with pytest.raises(ValueError, match=f"none of the 3 options, as {form}"):
        right_option(said, RIVERS, form)
