"""Records to JSON and back without a loss."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.codec import canonical, from_plain, read_jsonl, to_plain, write_jsonl
from hneuro.records import ASIDE, BenchmarkItem, Reading, Response, SweepAnswer, Verdict
from hneuro.result_records import Estimate, FunnelStep, ResultRow


class Colour(str, Enum):
    RED = "red"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    value: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Nest:
    leaves: tuple[Leaf, ...]
    pair: tuple[str, int]
    grid: tuple[tuple[int, ...], ...]
    maybe: Leaf | None
    counts: Mapping[str, float] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


numbers = st.floats(allow_nan=False)  # NaN is not equal to itself: it has its own test
leaves = st.builds(Leaf, value=numbers, verdict=st.sampled_from(Verdict))
nests = st.builds(
    Nest,
    leaves=st.lists(leaves).map(tuple),
    pair=st.tuples(st.text(), st.integers()),
    grid=st.lists(st.lists(st.integers()).map(tuple)).map(tuple),
    maybe=st.none() | leaves,
    counts=st.dictionaries(st.text(), numbers),
    meta=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()),
)


def through_json(record: Any) -> Any:
    return from_plain(type(record), json.loads(json.dumps(to_plain(record), allow_nan=False)))


@settings(deadline=None, max_examples=50)
@given(nests)
def test_nested_records_come_back_equal(record: Nest) -> None:
    assert through_json(record) == record


@settings(deadline=None, max_examples=50)
@given(st.lists(st.builds(Leaf, value=numbers, verdict=st.sampled_from(Verdict)), max_size=4), st.text())
def test_canonical_is_one_line_and_independent_of_order(made: list[Leaf], name: str) -> None:
    assert "\n" not in canonical(made)
    assert canonical({"b": made, "a": name}) == canonical({"a": name, "b": tuple(made)})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 0.1])
def test_every_float_survives_in_valid_json(value: float) -> None:
    row = ResultRow(stage="s", metric="m", dataset="d", condition="c", value=value, low=value)
    back = through_json(row)
    assert np.array([back.value, back.low]).tobytes() == np.array([value, value]).tobytes()
    assert back.high is None


def test_an_integer_in_a_float_field_comes_back_as_a_float() -> None:
    assert type(through_json(Estimate(value=1, low=0, high=2, n=3)).value) is float


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.builds(
            Response,
            question_id=st.text(),
            sample=st.integers(0, 9),
            prompt_ids=st.lists(st.integers(0, 10**6)).map(tuple),
            token_ids=st.lists(st.integers(0, 10**6)).map(tuple),
            text=st.text(),
            logprobs=st.lists(st.floats(-100, 0)).map(tuple),
            entropies=st.lists(st.floats(0, 100)).map(tuple),
        ),
        max_size=5,
    )
)
def test_jsonl_keeps_every_line_whatever_the_text(
    tmp_path_factory: pytest.TempPathFactory, made: list[Response]
) -> None:
    file = tmp_path_factory.getbasetemp() / "responses.jsonl"
    write_jsonl(file, made)
    assert read_jsonl(file, Response) == tuple(made)


def test_line_ends_inside_a_text_do_not_end_its_line(tmp_path: Path) -> None:
    odd = "a\nb\r\nc\rd\u2028e\u0085f\x0bg\x00h"
    step = FunnelStep(stage=odd, dataset="d", unit="u", entered=2, left=1, lost={odd: 1})
    write_jsonl(tmp_path / "odd.jsonl", [step, step])
    assert read_jsonl(tmp_path / "odd.jsonl", FunnelStep) == (step, step)


def test_messages_and_outcomes_come_back() -> None:
    item = BenchmarkItem(
        id="1", benchmark="b", messages=({"role": "user", "content": "q"},), comply=("a",), resist=(), meta={"k": 1}
    )
    assert through_json(item) == item
    plain = {"item_id": "1", "neuron_set": "s", "seed": 0, "alpha": 1, "replies": ["a", "b"], "truncated": False}
    answer = from_plain(SweepAnswer, plain | {"p_comply": None})
    assert (answer.replies, answer.p_comply) == (("a", "b"), None)
    reading = from_plain(Reading, {"outcome": "unparsed"})
    assert (reading.outcome.name, reading.grade) == ("UNPARSED", None)


@dataclass(frozen=True, kw_only=True)
class Part:
    what: int
    how: int = field(default=1, metadata=ASIDE)


def test_how_something_is_done_names_no_result_but_is_on_record() -> None:
    assert canonical(Part(what=1, how=2)) == canonical(Part(what=1)) != canonical(Part(what=2))
    assert canonical({"part": [Part(what=1, how=2)]}) == canonical({"part": [Part(what=1)]})
    assert to_plain(Part(what=1, how=2)) == {"what": 1, "how": 2}


def test_sets_enums_and_paths_have_a_stable_form() -> None:
    assert to_plain({Colour.RED: {3, 1, 2}, "path": Path("a/b")}) == {"red": [1, 2, 3], "path": "a/b"}


@pytest.mark.parametrize("value", [object(), np.arange(2), b"bytes", lambda: None, {"deep": [1j]}])
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        to_plain(value)


@pytest.mark.parametrize("plain", [{"value": 1.0}, {"value": 1.0, "verdict": "maybe"}, {"value": 1.0, "other": 1}])
def test_a_record_that_does_not_fit_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        from_plain(Leaf, plain)


def test_nan_is_nan_after_the_round_trip_through_a_file(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "e.jsonl", [Estimate(value=math.nan, low=math.nan, high=math.inf, n=0)])
    (back,) = read_jsonl(tmp_path / "e.jsonl", Estimate)
    assert math.isnan(back.value)
    assert back.high == math.inf
