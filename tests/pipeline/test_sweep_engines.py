"""Whole runs whose sweeps another engine answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import composed
from transformers import MixtralConfig, MixtralForCausalLM, PreTrainedTokenizerFast

from hneuro.causal.grid import Cell
from hneuro.causal.vllm_sweep import VllmSweep
from hneuro.config import build_experiment
from hneuro.models import load
from hneuro.models.language_model import LanguageModel
from hneuro.pipeline.method import run
from hneuro.records import BenchmarkItem, Question, SweepAnswer, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler
from hneuro.result_records import ResultRow
from hneuro.store import Store, fingerprint
from hneuro.verdicts.words import normal_words

PARTS = Path(__file__).parents[1] / "parts"
SMALL = [
    "model=hub",
    "model.name=tiny",
    "model.dtype=float32",
    "model.device=cpu",
    "dataset=file",
    "dataset.identification.path=questions.jsonl",
    "sampling=vllm",
    "sampling.samples=2",
    "splits.by=entity",
    "sampling.decoding.temperature=0",
    "dataset.answer_tokens=6",
    "choice=paper",
    "benchmark=none",
    "+benchmark.yes_no={_target_:lab_parts.YesNo}",
    "stability=none",
    "detection.control_seeds=2",
    "detection.controls=[random]",
    "intervention.alphas=[0,1,2]",
    "intervention.control_seeds=1",
    "intervention.controls=[random]",
    "intervention.ranked=5",
    "intervention.known_questions=4",
    "quiet=true",
]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, language_model: LanguageModel) -> None:
    """A folder with questions to half of which the gold answer is what the model says."""
    monkeypatch.syspath_prepend(str(PARTS))
    monkeypatch.chdir(tmp_path)
    asked = [
        Question(id=f"n{n}", dataset="file", text=f"What is number {n}?", answers=(), entity=str(n)) for n in range(48)
    ]
    sampler = TransformersSampler(samples=1, decoding=Decoding(temperature=0.0, max_new_tokens=6))
    said = zip(asked, sampler.sample(language_model, asked, 1, 0), strict=True)
    rows = [(q, r.text) for q, r in said if normal_words(r.text)]
    lines = ({"id": q.id, "question": q.text, "answers": [t if n % 2 else "else"]} for n, (q, t) in enumerate(rows))
    Path("questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def rows_of(*words: str) -> tuple[ResultRow, ...]:
    """The tidy rows of a run."""
    return run(build_experiment(composed(*SMALL, *words)), Store(Path("store"))).rows


def test_a_run_that_vllm_sweeps_finds_the_same_and_goes_on_where_it_was_killed(
    vllm: Any, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = f"model.chat.path={tiny_checkpoint}"
    theirs = rows_of(chat)
    assert len(vllm.started) == 1, "of the responses"

    beside: list[int] = []  # engines that ran while weights were loaded
    find = load.find_ffn
    monkeypatch.setattr(load, "find_ffn", lambda model: (beside.append(len(vllm.running)), find(model))[1])
    answered: list[tuple[BenchmarkItem, Cell]] = []  # the first row of each shard
    killed: list[tuple[BenchmarkItem, Cell]] = []

    def counted(sweep: VllmSweep, rows: Sequence[tuple[BenchmarkItem, Cell]], begun: Any) -> tuple[SweepAnswer, ...]:
        if len(answered) == 6 and not killed:
            killed.append(rows[0])
            raise KeyboardInterrupt
        made = answers(sweep, rows, begun)
        answered.append(rows[0])
        return made

    answers = VllmSweep.answers
    monkeypatch.setattr(VllmSweep, "answers", counted)
    with pytest.raises(KeyboardInterrupt):
        rows_of(chat, "intervention.engine=vllm")
    assert vllm.running == []
    mine = rows_of(chat, "intervention.engine=vllm")
    assert len(answered) > 12
    assert answered[6] == killed[0]
    assert len({fingerprint(row) for row in answered}) == len(answered), "something was asked twice"
    assert set(beside) <= {0}, "the model was loaded beside an engine"
    assert vllm.running == []

    told = {row.metric for row in theirs} - {row.metric for row in mine}
    assert "p_comply" in told
    assert list(map(repr, mine)) == [repr(row) for row in theirs if row.metric not in told]  # NaN is NaN
    assert any(row.stage == "causal" and row.dataset == "known_facts" for row in mine)


def refused(*words: str) -> str:
    with pytest.raises(UserError) as fault:
        rows_of("model.chat.path=gone", *words)
    assert "\n" not in str(fault.value)
    assert not Path("store").exists(), "something was computed"
    return str(fault.value)


def test_what_cannot_be_swept_by_vllm_is_refused_before_anything_is_sampled() -> None:
    vllm = "intervention.engine=vllm"
    assert "engine" in refused("intervention.engine=sglang")
    assert refused(vllm, "sampling=transformers").endswith("choose sampling=vllm, or intervention.engine=transformers")
    assert refused(vllm, "intervention.variants=[mean]").startswith("intervention: variants ['mean'] cannot be made")


def test_what_vllm_cannot_edit_is_refused_before_anything_is_sampled(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    folder = tmp_path / "experts"
    config = MixtralConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
    )
    MixtralForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match=r"engine=vllm.* a mixture of experts.* choose intervention.engine=transf"):
        rows_of(f"model.chat.path={folder}", "intervention.engine=vllm")
    assert not Path("store/responses").exists()
