"""The library: read the neurons of a model and scale them, in a few lines of a notebook.

model = hneuro.load("smollm2_135m")
model.cett("Who wrote Hamlet?").values      # [token, layer, neuron]
model.answer("Who wrote Hamlet?")
with model.scaled([(5, 12)], alpha=0.5):
    model.answer("Who wrote Hamlet?")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hneuro.models.language_model import LanguageModel
from hneuro.models.spec import ModelSpec
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

if TYPE_CHECKING:
    import altair
    import pandas as pd

Neuron = tuple[int, int]  # (layer, index)


def load(name: str | Path, **fields: Any) -> Model:
    """A model by its name in conf/model, a folder, a GGUF file or a hub id; weights are read when first needed.

    `fields` of `ModelSpec`, such as dtype="bfloat16" or device="cuda". `UserError` says what cannot be found.
    """
    from hneuro.config import as_hydra_reads, build, model_node

    return Model(build(model_node(list(as_hydra_reads([f"model={name}"], ()))) | fields, "model"))


@dataclass(frozen=True, kw_only=True)
class Cett:
    """`values` [token, layer, neuron] float32 of the tokens that were read, `tokens` their texts, `layers` which."""

    values: NDArray[np.float32]
    tokens: tuple[str, ...]
    layers: tuple[int, ...]
    prompt: int  # how many of the tokens are the prompt's


class Model:
    """An instruction-tuned model with its prompting; `language_model.loaded.model` is the transformers model itself."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.language_model = LanguageModel(spec.chat, spec, completion=False)

    @property
    def space(self) -> NeuronSpace:
        """Its FFN neurons: layers and neurons a layer."""
        return self.language_model.loaded.ffn.space

    def cett(self, question: str, answer: str = "", layers: Sequence[int] | None = None) -> Cett:
        """The contribution of every FFN neuron at every token of the prompt and the answer (paper, equation 1).

        CETT = |z_j| ||W_down[:, j]|| / ||h||: a share of the FFN's output, without unit. `layers`: only these.
        """
        from hneuro.contributions.extract import extract
        from hneuro.spans.tokens import token_texts

        model, space = self.language_model, self.space
        chosen = tuple(range(space.n_layers)) if layers is None else tuple(layers)
        prompt = self.language_model.prompt_ids(question)
        ids = (*prompt, *self.token_ids(answer))
        only = [space.flat(layer, index) for layer in chosen for index in range(space.width)]
        each = [np.eye(len(ids), dtype=np.float32)]
        values = extract(model.loaded, [ids], each, len(ids), only=only)[0]
        texts = token_texts(ids, lambda part: str(model.tokenizer.decode(list(part))))
        return Cett(
            values=values.reshape(len(ids), len(chosen), space.width),
            tokens=tuple(texts),
            layers=chosen,
            prompt=len(prompt),
        )

    def token_ids(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones."""
        return tuple(self.language_model.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()

    def answer(self, question: str, max_new_tokens: int = 48) -> str:
        """The greedy answer, as the model is asked in a run."""
        return self.language_model.text_of(self.answer_ids(question, max_new_tokens)).strip()

    def answer_ids(self, question: str, max_new_tokens: int = 48) -> tuple[int, ...]:
        """The tokens of the greedy answer, without what ends it."""
        from hneuro.responses.decoding import Decoding
        from hneuro.responses.generate import Job, end_ids, generate

        model = self.language_model
        decoding = Decoding(temperature=0.0, max_new_tokens=max_new_tokens)
        (said,) = generate(model.loaded, 0, [Job(model.prompt_ids(question), "")], decoding)
        ended = said.token_ids[-1:] and said.token_ids[-1] in end_ids(model.loaded.model)
        return said.token_ids[:-1] if ended else said.token_ids

    @contextmanager
    def scaled(self, neurons: Iterable[Neuron], alpha: float) -> Iterator[None]:
        """Inside, the activations z of these (layer, index) neurons are multiplied by alpha, in every forward pass.

        At alpha = 1 nothing is done. In a mixture of experts the model may read one row at a time.
        """
        from hneuro.models.edits import edits, scaled
        from hneuro.models.hooks import intervene

        loaded = self.language_model.loaded
        treatment = scaled((self.space.flat(layer, index) for layer, index in neurons), alpha)
        with intervene(loaded.ffn, edits(self.space, [treatment], loaded.device, loaded.dtype)):
            yield


class RunResults:
    """What a finished run found, as data frames. Columns are the fields of the records in hneuro.result_records."""

    def __init__(self, run_dir: str | Path) -> None:
        from hneuro.report.folders import read_results

        file = Path(run_dir) / "results.json"
        if not file.is_file():
            raise UserError(f"{run_dir} is not a finished run: it has no results.json")
        self.results = read_results(file)

    @property
    def rows(self) -> pd.DataFrame:
        """Every number with interval, n and p: a row for each (stage, metric, dataset, condition, alpha, seed)."""
        from hneuro.report.page import rows_frame

        return rows_frame(self.results.rows)

    @property
    def neurons(self) -> pd.DataFrame:
        """The H-Neurons, heaviest first: layer, index, weight, AUROC, mean CETT, how often resamples select them.

        `index` is that in the layer, as in `Detector.neurons`, also in a mixture of experts.
        """
        frame, space = _frame(self.results.neurons), self.results.space
        if space is not None and len(frame):
            of = {space.address(n): space.locate(n)[1] for n in self.results.neuron_sets["h_neurons"]}
            frame["index"] = [of[row.layer, row.expert, row.index] for row in self.results.neurons]
        return frame

    @property
    def path(self) -> pd.DataFrame:
        """What was selected at each C, and how well it did."""
        return _frame(self.results.path)

    def figure(self, name: str) -> altair.LayerChart | altair.VConcatChart:
        """An Altair chart of the report by its name, e.g. "alpha_doubt_compliance"; `UserError` lists them.

        A notebook shows it; `.save("name.pdf")`, .png, .svg or .html writes it.
        """
        import altair

        from hneuro.report.page import pictures

        found = {picture.name: picture for picture in pictures(self.results)}
        if name not in found:
            raise UserError(f"there is no figure {name!r}; there are {', '.join(found)}")
        spec = found[name].figure
        return (altair.LayerChart if "layer" in spec else altair.VConcatChart).from_dict(spec)


def results(run_dir: str | Path) -> RunResults:
    """The results of the run in this folder; `UserError` where it has not finished."""
    return RunResults(run_dir)


def _frame(records: Sequence[Any]) -> pd.DataFrame:
    import dataclasses

    import pandas as pd

    return pd.DataFrame([dataclasses.asdict(record) for record in records])
