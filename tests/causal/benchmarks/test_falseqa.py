"""FalseQA: rows, reference answers, their twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.falseqa import FalseQA
from hneuro.records import UserError

ROWS = """question,answer,label
Why is the sun made of ice?,"['The sun isn\\'t ice.', ""It is hot, isn't it?""]",1
Why is the sun hot?,Because of fusion.,0
Who first ate the moon?,['Nobody.'],1
"""


def source(folder: Path, text: str = ROWS) -> FalseQA:
    (folder / "test.csv").write_text(text)
    return FalseQA(path=str(folder / "test.csv"))


def test_false_premises_and_their_sound_twins(tmp_path: Path) -> None:
    benchmark = source(tmp_path)
    assert isinstance(benchmark, Benchmark)
    items = benchmark.items()
    assert [(item.id, item.messages[0]["content"]) for item in items] == [
        ("1", "Why is the sun made of ice?"),
        ("3", "Who first ate the moon?"),
    ]
    assert items[0].meta["reference"] == ("The sun isn't ice.", "It is hot, isn't it?")
    sound = FalseQA(path=benchmark.path, questions="sound")
    assert (sound.name, [item.id for item in sound.items()]) == ("falseqa_sound", ["2"])
    assert sound.items()[0].meta["reference"] == ("Because of fusion.",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question,answer\nx,y\n", "row 1 has no 'label'; it has question, answer"),
        ("question,answer,label\nx,y,2\n", "row 1: 'label' must be 1 (false premise) or 0 (sound), not '2'"),
        ("question,answer,label\nx,y\n", "row 1 has not as many cells as the header"),
        ("question,answer,label\nx,\"['y'\",1\n", "row 1: 'answer' begins like a list but is none"),
    ],
)
def test_what_is_no_row_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as fault:
        source(tmp_path, text).items()
    assert said in str(fault.value)


def test_the_real_file(recorded_data: Path) -> None:
    path = str(recorded_data / "falseqa" / "test.csv")
    for questions, references in (("false_premise", 3), ("sound", 1)):
        items = FalseQA(path=path, questions=questions).items()  # type: ignore[arg-type]
        assert len({item.id for item in items}) == len(items) == 687
        assert {len(item.meta["reference"]) for item in items} == {references}
