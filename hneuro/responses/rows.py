"""The rows of a batch while they are continued: what the model remembers of each, and what scales it.

What all prompts have in common, such as a system prompt, is read once for each treatment; so is a prompt that several
rows begin with under one treatment. From there on each row goes its own way. A row that has ended can be let go.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from hneuro.models.edits import UNTOUCHED, Edits, Treatment, edits
from hneuro.models.hooks import intervene
from hneuro.models.load import Loaded

WORTH_SHARING = 8  # tokens
Start = tuple[tuple[int, ...], Treatment]  # a prompt and what is done: all that a row's beginning depends on


class Reader(Protocol):
    """Says of a forward pass what it found at the last position of every row."""

    def read(self, loaded: Loaded, rows: int) -> AbstractContextManager[Callable[[], Tensor]]:
        """Reads the passes inside; the function then gives what the last of them was found to be [row, value]."""


@dataclass(frozen=True)
class Rows:
    """Rows after a forward pass: `logits` [row, token] float32 of what comes next, `mask` [row, position].

    `found` [row, value]: what the `reader`, where there is one, has read at the last position.
    """

    loaded: Loaded
    cache: DynamicCache
    mask: Tensor
    amounts: Edits
    logits: Tensor
    reader: Reader | None = None
    found: Tensor | None = None
    learned: Edits | None = None  # of one row, which every row is under, in the place of its treatment

    @property
    def selectable(self) -> bool:
        return selectable(self.cache)

    def select(self, rows: Tensor) -> Rows:
        """These rows, in this order; a row may come several times. The cache is changed: use only what is returned."""
        self.cache.batch_select_indices(rows.cpu())  # its layers may lie on several devices
        found = None if self.found is None else self.found[rows.to(self.found.device)]
        return replace(self, mask=self.mask[rows], amounts=self.amounts.of(rows), logits=self.logits[rows], found=found)

    @property
    def joinable(self) -> bool:
        """Whether rows of another length can come into the batch: a gap before them is masked, and nothing more."""
        return _gaps_are_masked(self.loaded, self.cache)

    def joined(self, others: Rows, amounts: Edits) -> Rows:
        """These rows, then the others, padded on the left to one length, under `amounts`. Use only what is returned.

        What was `found` before is for whoever had them apart.
        """
        parts = [(rows, int(rows.mask.any(dim=0).int().argmax())) for rows in (self, others)]  # without empty columns
        longest = max(rows.mask.shape[1] - empty for rows, empty in parts)

        def padded(tensor: Tensor, dim: int, empty: int) -> Tensor:
            kept = tensor.narrow(dim, empty, tensor.shape[dim] - empty)
            return torch.nn.functional.pad(kept, (0, 0) * (-1 - dim) + (longest - kept.shape[dim], 0))

        cache = new_cache(self.loaded.model)
        for n, layers in enumerate(zip(self.cache.layers, others.cache.layers, strict=True)):
            keys, values = (
                torch.cat(
                    [padded(getattr(own, name), -2, empty) for own, (_, empty) in zip(layers, parts, strict=True)]
                )
                for name in ("keys", "values")
            )
            cache.update(keys, values, n)
        mask = torch.cat([padded(rows.mask, -1, empty) for rows, empty in parts])
        logits = torch.cat([self.logits, others.logits])
        return replace(self, cache=cache, mask=mask, amounts=amounts, logits=logits, found=None)

    def step(self, tokens: Tensor) -> Rows:
        """Every row with its next token [row]. The cache is changed: use only what is returned."""
        longer = replace(self, mask=torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1))
        return _forward(longer, tokens[:, None])

    def ahead(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits [row, position, token] after each of several next ids, right-padded as `mask` says.

        The cache is changed: the rows cannot be used any more.
        """
        return _logits(replace(self, mask=torch.cat([self.mask, mask], dim=1)), ids, ids.shape[1])


def begin(
    loaded: Loaded, pad: int, starts: Sequence[Start], reader: Reader | None = None, learned: Edits | None = None
) -> Rows:
    """A row for each start, left-padded; starts that are equal are read once."""
    cache = new_cache(loaded.model)
    alike = [(prompt, UNTOUCHED if treatment.untouched else treatment) for prompt, treatment in starts]
    distinct = list(dict.fromkeys(alike)) if selectable(cache) else alike
    prefix = _read_prefix(loaded, cache, distinct, learned)
    longest = max(len(prompt) for prompt, _ in distinct)
    padded = [(longest - len(prompt), prompt[prefix:]) for prompt, _ in distinct]
    ids = torch.tensor([[pad] * blank + list(rest) for blank, rest in padded], device=loaded.device)
    mask = torch.tensor([[1] * prefix + [0] * blank + [1] * len(rest) for blank, rest in padded], device=loaded.device)
    amounts = _amounts(loaded, [treatment for _, treatment in distinct], learned)
    rows = _forward(Rows(loaded, cache, mask, amounts, torch.empty(0), reader, learned=learned), ids)
    if len(distinct) == len(starts):
        return rows
    place = {start: n for n, start in enumerate(distinct)}
    return rows.select(torch.tensor([place[start] for start in alike], device=loaded.device))


def shared_prefix(sequences: Sequence[Sequence[int]], most: int) -> int:
    """How many tokens all of them begin with, at most so many."""
    first, last = min(map(tuple, sequences)), max(map(tuple, sequences))
    return next((n for n in range(most) if first[n] != last[n]), most)


def _amounts(loaded: Loaded, treatments: Sequence[Treatment], learned: Edits | None) -> Edits:
    if learned is None:
        return edits(loaded.ffn.space, treatments, loaded.device, loaded.dtype)
    return learned.of(torch.zeros(len(treatments), dtype=torch.int64, device=loaded.device))


def _read_prefix(loaded: Loaded, cache: DynamicCache, starts: Sequence[Start], learned: Edits | None) -> int:
    """Reads what all prompts begin with, once for each treatment, into the cache; how many tokens that are.

    None where that saves little, or where a gap between the beginning and a padded rest would not only be masked:
    sliding attention counts it, and so do models that number positions themselves.
    """
    prompts = [prompt for prompt, _ in starts]
    prefix = shared_prefix(prompts, min(map(len, prompts)) - 1)  # everyone keeps a token of its own
    treatments = list(dict.fromkeys(treatment for _, treatment in starts))
    if prefix < WORTH_SHARING or len(starts) < 2 * len(treatments) or not _gaps_are_masked(loaded, cache):
        return 0
    ids = torch.tensor([prompts[0][:prefix]] * len(treatments), device=loaded.device)
    amounts = _amounts(loaded, treatments, learned)
    _forward(Rows(loaded, cache, torch.ones_like(ids), amounts, torch.empty(0)), ids)
    place = {treatment: n for n, treatment in enumerate(treatments)}
    cache.batch_select_indices(torch.tensor([place[treatment] for _, treatment in starts]))
    return prefix


def _gaps_are_masked(loaded: Loaded, cache: DynamicCache) -> bool:
    plain = all(type(layer) is DynamicLayer for layer in cache.layers)
    return plain and "position_ids" in inspect.signature(loaded.model.forward).parameters


def new_cache(model: Any) -> DynamicCache:
    """What the model remembers of its rows, empty."""
    return DynamicCache(config=model.config)


def selectable(cache: DynamicCache) -> bool:
    """Whether rows of the cache can be repeated and left out: only plain and sliding attention remember by row."""
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)


def _forward(rows: Rows, ids: Tensor) -> Rows:
    """The rows after these ids [row, position], under what is done to them, and read. The cache is changed."""
    if rows.reader is None:
        return replace(rows, logits=_logits(rows, ids, 1)[:, 0])
    with rows.reader.read(rows.loaded, len(ids)) as found:
        logits = _logits(rows, ids, 1)[:, 0]
    return replace(rows, logits=logits, found=found())


def _logits(rows: Rows, ids: Tensor, last: int) -> Tensor:
    """Logits [row, position, token] float32 of the last positions of these ids. The cache is changed."""
    model = rows.loaded.model
    options: dict[str, Any] = {
        "position_ids": (rows.mask.cumsum(-1) - 1).clamp_min(0)[:, -ids.shape[1] :],
        "logits_to_keep": last,
    }
    known = inspect.signature(model.forward).parameters
    with intervene(rows.loaded.ffn, rows.amounts):
        out = model(
            input_ids=ids,
            attention_mask=rows.mask,
            past_key_values=rows.cache,
            use_cache=True,
            **{name: value for name, value in options.items() if name in known},
        )
    logits: Tensor = out.logits[:, -last:]
    return logits.to(ids.device, torch.float32)
