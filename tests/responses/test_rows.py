"""Rows that begin alike are read once, rows that have ended are let go, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.models.edits import UNTOUCHED, scaled
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.responses import rows
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Generated, Job, generate
from hneuro.responses.rows import begin

PAD = 0
PROMPTS = ((1, 3, 40, 41, 42, 2, 4), (1, 3, 99, 2, 4), (1, 3, *range(60, 80), 2, 4), (1, 70))
SETS: tuple[tuple[int, ...], ...] = ((5, 70, 191), (0, 64, 128, 130), ())
SAMPLED = Decoding(max_new_tokens=6)


@pytest.fixture(scope="module")
def loaded(language_model: LanguageModel) -> Loaded:
    return language_model.loaded


@contextmanager
def shapes(loaded: Loaded) -> Iterator[list[tuple[int, int]]]:
    """The (rows, tokens) of every forward pass."""
    seen: list[tuple[int, int]] = []
    layer = loaded.ffn.decoder.get_input_embeddings()
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    try:
        yield seen
    finally:
        handle.remove()


@contextmanager
def ending(loaded: Loaded, ends: list[int] | None) -> Iterator[None]:
    config = loaded.model.generation_config
    before, config.eos_token_id = config.eos_token_id, ends
    try:
        yield
    finally:
        config.eos_token_id = before


def test_a_prompt_is_read_once_for_all_its_samples(loaded: Loaded) -> None:
    jobs = [Job(prompt, f"{prompt}/{n}") for prompt in PROMPTS for n in range(10)]
    with shapes(loaded) as seen, ending(loaded, None):
        generate(loaded, PAD, jobs, SAMPLED)
    assert seen == [(4, 24), *[(40, 1)] * 5]


def test_only_what_begins_alike_is_shared(loaded: Loaded) -> None:
    """alpha = 1 is untouched under every set; another alpha, or another set of neurons, reads the prompt otherwise."""
    starts = [(PROMPTS[0], scaled(chosen, alpha)) for alpha in (1.0, 0.0, 3.0) for chosen in SETS[:2]] * 2
    with shapes(loaded) as seen, torch.inference_mode():
        shared = begin(loaded, PAD, starts)
    assert seen == [(5, 7)]
    with torch.inference_mode():
        alone = torch.cat([begin(loaded, PAD, [start]).logits for start in starts])
    np.testing.assert_allclose(shared.logits, alone, atol=1e-4)
    assert len({round(float(row[0]), 4) for row in alone}) == 5


def test_what_all_prompts_begin_with_is_read_once_for_each_treatment(loaded: Loaded) -> None:
    head = tuple(range(100, 130))
    treatments = (UNTOUCHED, scaled(SETS[0], 0.0), scaled(SETS[0], 3.0))
    starts = [((*head, *prompt), treatment) for prompt in PROMPTS for treatment in treatments]
    with shapes(loaded) as seen, torch.inference_mode():
        shared = begin(loaded, PAD, starts)
    assert seen == [(3, 31), (12, 23)]  # also the BOS that the prompts begin with
    with torch.inference_mode():
        next_logits = shared.step(torch.full((12,), 77)).logits
        for n, start in enumerate(starts):
            alone = begin(loaded, PAD, [start])
            np.testing.assert_allclose(shared.logits[n], alone.logits[0], atol=1e-4)
            np.testing.assert_allclose(next_logits[n], alone.step(torch.tensor([77])).logits[0], atol=1e-4)


def test_ended_rows_are_let_go(loaded: Loaded) -> None:
    jobs = [Job(PROMPTS[0], f"{n}") for n in range(40)]
    with ending(loaded, list(range(0, 320, 3))):
        with shapes(loaded) as seen:
            made = generate(loaded, PAD, jobs, SAMPLED)
        assert close(made, [generate(loaded, PAD, [job], SAMPLED)[0] for job in jobs])
    lengths = [len(g.token_ids) for g in made]
    counts = [count for count, _ in seen[1:]]
    assert counts == sorted(counts, reverse=True)
    for step, count in enumerate(counts, 1):
        going = sum(length > step for length in lengths)
        assert going <= count < max(2 * going, 2)
    assert counts[-1] < 10


def close(made: list[Generated], expected: list[Generated]) -> bool:
    """Equal but for the rounding of another batch."""
    for one, other in zip(made, expected, strict=True):
        if (one.token_ids, one.truncated) != (other.token_ids, other.truncated):
            return False
        if not np.allclose([*one.logprobs, *one.entropies], [*other.logprobs, *other.entropies], atol=1e-4):
            return False
    return True


some_jobs = st.lists(
    st.builds(
        Job,
        prompt_ids=st.sampled_from(PROMPTS),
        seed=st.sampled_from("abc"),
        treatment=st.builds(scaled, st.sampled_from(SETS), st.sampled_from((1.0, 1.0, 0.0, 3.0))),
    ),
    min_size=1,
    max_size=8,
)


@given(jobs=some_jobs, ends=st.sampled_from([None, [2], list(range(0, 320, 4))]), shared=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_row_is_its_job_s_alone(loaded: Loaded, jobs: list[Job], ends: list[int] | None, shared: bool) -> None:
    """A batch of one, of many, with beginnings shared or separate, with rows let go or not."""
    with ending(loaded, ends), pytest.MonkeyPatch.context() as patch:
        if not shared:
            patch.setattr(rows, "selectable", lambda cache: False)
        alone = {job: generate(loaded, PAD, [job], SAMPLED)[0] for job in set(jobs)}
        assert close(generate(loaded, PAD, jobs, SAMPLED), [alone[job] for job in jobs])
