"""Records to JSON and back without a loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.codec import canonical, from_plain, read_jsonl, to_plain, write_jsonl
from hneuro.records import ASIDE, Response, Verdict
from hneuro.result_records import ResultRow


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


@dataclass(frozen=True, kw_only=True)
class Part:
    what: int
    how: int = field(default=1, metadata=ASIDE)


def test_how_something_is_done_names_no_result_but_is_on_record() -> None:
    assert canonical(Part(what=1, how=2)) == canonical(Part(what=1)) != canonical(Part(what=2))
    assert canonical({"part": [Part(what=1, how=2)]}) == canonical({"part": [Part(what=1)]})
    assert to_plain(Part(what=1, how=2)) == {"what": 1, "how": 2}


@pytest.mark.parametrize("value", [object(), np.arange(2), b"bytes", lambda: None, {"deep": [1j]}])
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        to_plain(value)


@pytest.mark.parametrize("plain", [{"value": 1.0}, {"value": 1.0, "verdict": "maybe"}, {"value": 1.0, "other": 1}])
def test_a_record_that_does_not_fit_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        from_plain(Leaf, plain)
