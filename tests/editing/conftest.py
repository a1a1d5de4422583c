"""A finished run on a tiny model, whose neurons are edited."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hneuro.cli import main
from hneuro.models.language_model import LanguageModel
from hneuro.questions.base import Question
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler
from hneuro.verdicts.words import normal_words

PARTS = Path(__file__).parents[1] / "parts"
CARD = "---\nlicense: llama3.1\nlanguage: [en]\nmodel-index: []\n---\n\n# The original\n"


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, language_model: LanguageModel
) -> tuple[Path, Path]:
    """A model of its own, and the folder of a run on it: a random model that "knows" what half of the answers say."""
    folder = tmp_path_factory.mktemp("edit")
    shutil.copytree(tiny_checkpoint, folder / "model")
    (folder / "model" / "README.md").write_text(CARD)
    asked = [
        Question(id=f"n{n}", dataset="n", text=f"What is number {n}?", answers=(), entity=f"n{n}") for n in range(60)
    ]
    sampler = TransformersSampler(samples=1, decoding=Decoding(temperature=0.0, max_new_tokens=6))
    with (folder / "numbers.jsonl").open("w", encoding="utf-8") as out:
        for n, response in enumerate(sampler.sample(language_model, asked, 1, 0)):
            if normal_words(response.text):
                gold = response.text if n % 2 else "something else entirely"
                out.write(json.dumps({"id": f"n{n}", "question": asked[n].text, "answers": [gold]}) + "\n")
    (folder / "text.txt").write_text("\n\n".join(f"Hamlet is number {n}, and not {n * n}." for n in range(6)))
    words = [
        "run", "model=hub", "model.name=tiny", f"model.chat.path={folder}/model", "model.dtype=float32",
        "model.device=cpu", "dataset=file", f"dataset.identification.path={folder}/numbers.jsonl", "benchmark=none",
        "+benchmark.yes_no={_target_:lab_parts.YesNo}", "+benchmark.doubted={_target_:lab_parts.Doubted}",
        "text=file", f"text.path={folder}/text.txt", "text.fewest=10", "sampling.samples=2", "splits.by=entity",
        "sampling.decoding.temperature=0",
        "sampling.decoding.max_new_tokens=6", "stability=none", "detection.control_seeds=2", "probe.C=[0.1,1,10]",
        "intervention.alphas=[1,3]", "intervention.control_seeds=1", "intervention.ranked=5", "quiet=true",
        f"output_dir={folder}/outputs", "report=false",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(PARTS))
        patched.delenv("HNEURO_STORE", raising=False)
        assert main(words) == 0
    (status,) = folder.glob("outputs/hneuro/*/status.json")
    return folder / "model", status.parent


@pytest.fixture(autouse=True)
def _parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PARTS))
