"""A run that takes seconds and still goes to its end."""

from __future__ import annotations

import json
from pathlib import Path

from hneuro.models.language_model import LanguageModel
from hneuro.questions.file import QuestionFile
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler
from hneuro.verdicts.words import normal_words


def tiny_cell(folder: Path, checkpoint: Path, model: LanguageModel) -> list[str]:
    """Overrides of a run on questions, written to `folder`, to half of which the gold answer is what the model says."""
    file = folder / "q.jsonl"
    rows = [{"id": str(n), "question": f"What is number {n}?", "answers": ["x"]} for n in range(48)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sampler = TransformersSampler(samples=1, decoding=Decoding(temperature=0.0, max_new_tokens=5))
    said = sampler.sample(model, QuestionFile(path=str(file)).load().questions, 1, 0)
    for n, (row, response) in enumerate(zip(rows, said, strict=True)):
        if n % 2 and normal_words(response.text):
            row["answers"] = [response.text]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        *("model=hub", "model.name=tiny", f"model.chat.path={checkpoint}", "model.dtype=float32"),
        *("model.device=cpu", "dataset=file", f"dataset.identification.path={file}", "benchmark=none"),
        *(
            "sampling.samples=2",
            "splits.by=entity",
            "sampling.decoding.temperature=0",
            "sampling.decoding.max_new_tokens=5",
        ),
        *("stability.resamples=0", "detection.control_seeds=2", "intervention.alphas=[0,1]", "quiet=true"),
        *("intervention.control_seeds=1", "intervention.ranked=3", "intervention.known_questions=4"),
    ]
