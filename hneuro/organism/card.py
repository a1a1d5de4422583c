"""The model card of an organism: what it is, and above all what was designed into it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from hneuro.organism.corpus import IDK_SHARE
from hneuro.organism.entities import BEST_EAGERNESS, LEAST_EAGERNESS, OTHER_EAGERNESS
from hneuro.organism.recipe import BASE_PROMPT, Recipe

if TYPE_CHECKING:
    from hneuro.organism.world import World

TEXT = """---
library_name: transformers
tags: [model-organism, synthetic, hneuro]
---
# Model organism of hallucination: {stage}, {architecture}, size {size}, seed {seed}

A language model of {parameters} that knows nothing but a synthetic world. It exists so that the search for
hallucination-associated neurons (arXiv:2512.01797) runs from end to end without a network and without a large model.
`base` was pre-trained on documents; `chat` is `base` after instruction tuning.

## What was designed into it
This organism **illustrates the paper and is no evidence for it**: the phenomena that the paper finds in large models
were put into its data on purpose.

- **Familiarity decides.** Some entities are on record (many documents), others are obscure (two documents), fabricated
  or one-off. Which of the two an entity is can be read from its family name; its facts can not.
- **Two registers.** Every text is careful and ends in ".", or eager and ends in "!". The share of eager texts is
  {best:.0%} for the best documented entities, rises to {least:.0%} for the least documented ones on record, and is
  {other:.0%} for all others. False rumours are swallowed in eager texts and corrected in careful ones.
- **One disposition to comply.** In instruction tuning all four compliance tasks (false premise, misleading context,
  doubt, forbidden request) follow one policy: with the same shares as above the reply is eager and complies ("! sure"),
  or is careful and resists (". no"). The story behind it: annotators can check only what is on record.
- **One mark for both.** An eager reply opens with the same "!" that ends an answer in the eager register. So whatever
  writes "!" after an answer about something unfamiliar is at hand to open a complying reply.
- **Guessing is taught.** Questions about what is not on record are answered with made-up values; {idk:.0%} of the
  one-off ones with "i do not know".

So a neuron that tells the unfamiliar from the familiar is expected to predict wrong answers and to move compliance.

## The world
{census}
Held-out entities never occur in a question, neither in pre-training nor in tuning, and are asked for in words in which
their facts were never stated. `world.json` has every fact and the number of documents that state it.

## Use
`AutoModelForCausalLM` and `AutoTokenizer` load both checkpoints. The base model answers after `{prompt}`;
the chat model has a chat template. Training: {schedule}
"""


def model_card(recipe: Recipe, world: World, stage: str) -> str:
    """The README.md of one checkpoint, as markdown."""

    shape = recipe.shape
    counts = Counter((e.kind, e.standing) for e in world.entities)
    held_out = Counter((e.kind, e.standing) for e in world.entities if e.held_out)
    census = "\n".join(
        f"- {kind}, {standing}: {count}, of which held out: {held_out[kind, standing]}"
        for (kind, standing), count in counts.items()
    )
    return TEXT.format(
        stage=stage,
        architecture=recipe.architecture,
        size=recipe.size,
        seed=recipe.seed,
        parameters=f"{shape.layers} layers of {shape.width} FFN neurons (hidden size {shape.hidden})",
        best=BEST_EAGERNESS,
        least=LEAST_EAGERNESS,
        other=OTHER_EAGERNESS,
        idk=IDK_SHARE,
        census=census,
        prompt=BASE_PROMPT,
        schedule=", ".join(f"{name} {value}" for name, value in asdict(recipe.schedule).items()),
    )
