"""The risk while a model answers."""

from __future__ import annotations

import numpy as np
import torch

from hneuro.contributions.extract import extract
from hneuro.contributions.regions import averages
from hneuro.detection.detector import Classifier
from hneuro.detection.live import RiskMonitor
from hneuro.models.edits import UNTOUCHED
from hneuro.models.language_model import LanguageModel
from hneuro.responses.rows import begin

PROMPTS = ((1, 3, 40, 41, 42, 2, 4), (1, 3, 99, 2, 4), (1, 3, *range(60, 80), 2, 4))


def test_what_neurons_add_is_the_detector_s_score_of_the_last_position(language_model: LanguageModel) -> None:
    loaded, columns = language_model.loaded, (3, 70, 71, 150)
    one_hot = [averages([[len(prompt) - 1]], len(prompt)) for prompt in PROMPTS]
    cett = extract(loaded, PROMPTS, one_hot, 4096)[:, 0]
    detector = Classifier(columns=columns, weight=np.array([1.0, -2.0, 0.5, 3.0]), bias=0.3, threshold=0.0)
    with torch.inference_mode(), RiskMonitor(detector).read(loaded, len(PROMPTS)) as added:
        begin(loaded, 0, [(prompt, UNTOUCHED) for prompt in PROMPTS])
        found = added()
    np.testing.assert_allclose(found, cett[:, list(columns)] * detector.weight, rtol=1e-4)
