"""A detector on the disk: arrays in detector.safetensors, all else in detector.json, and a model card; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hneuro import __version__
from hneuro.codec import from_plain
from hneuro.detection.detector import Classifier
from hneuro.disk import read_text, replacing, write_text
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError
from hneuro.result_records import Calibration

FOLDER = "detector"  # of a run
CARD = """---
library_name: hneuro
tags: [hallucination-detection, interpretability]
---

# A hallucination detector for {model}

A logistic regression on the contributions (CETT) of {count} of {size:,} FFN neurons (H-Neurons, arXiv:2512.01797),
for the checkpoint with this identity alone: `{weights}`. Trained by hneuro {version} on {trained}.

    import hneuro

    hneuro.Detector.load("FOLDER").answer("Who wrote Hamlet?")
"""


def read(folder: Path) -> dict[str, Any]:
    """The fields of a `hneuro.Detector`, of the folder of a run or of a detector; `UserError` where there is none."""
    place = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    try:
        known: dict[str, Any] = json.loads(read_text(place / "detector.json"))
        arrays = load_file(place / "detector.safetensors")
        if known.pop("digest", None) != _digest(known, place):
            raise ValueError("it was damaged, changed by hand, or saved by an earlier version")
        classifier = Classifier(
            columns=tuple(arrays["neurons"].tolist()),
            weight=arrays["weight"],
            bias=known.pop("bias"),
            threshold=known.pop("threshold"),
        )
        if calibration := known.pop("calibration"):
            calibration = Calibration(
                log_odds=tuple(arrays["calibration_log_odds"].tolist()),
                hallucinated=tuple(arrays["calibration_hallucinated"].astype(bool).tolist()),
                candidates=tuple(calibration.pop("candidates")),
                **calibration,
            )
        space = from_plain(NeuronSpace, known.pop("space"))
        return known | {"classifier": classifier, "space": space, "calibration": calibration}
    except FileNotFoundError as fault:
        raise UserError(f"{folder} has no detector: name the folder of a finished run") from fault
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as fault:
        reason = " ".join(str(fault).split())
        raise UserError(f"the detector in {place} cannot be read: {reason}; run the experiment again") from fault


def write(
    place: Path, *, classifier: Classifier, space: NeuronSpace, calibration: Calibration | None, **known: Any
) -> Path:
    """Writes what `read` reads; `known`: the other fields, which JSON can hold."""
    place.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {
        "neurons": np.array(classifier.columns, dtype=np.int64),
        "weight": classifier.weight,
    }
    if calibration is not None:
        arrays["calibration_log_odds"] = np.array(calibration.log_odds, dtype=np.float64)
        arrays["calibration_hallucinated"] = np.array(calibration.hallucinated, dtype=np.uint8)
    with replacing(place / "detector.safetensors") as fresh:
        save_file(arrays, fresh)
    card = CARD.format(
        model=known["model_config"]["name"],
        count=len(classifier.columns),
        size=space.size,
        weights=known["weights"],
        version=__version__,
        trained=known["trained"],
    )
    known |= {"bias": classifier.bias, "threshold": classifier.threshold, "space": asdict(space)}
    known["calibration"] = calibration and {
        name: getattr(calibration, name) for name in ("slope", "offset", "dataset", "candidates", "method")
    }
    known["digest"] = _digest(known, place)
    write_text(place / "detector.json", json.dumps(known, indent=1, ensure_ascii=False))
    write_text(place / "README.md", card)
    return place


def _digest(known: Mapping[str, Any], place: Path) -> str:
    """Of all that a saved detector is read from."""
    said = json.dumps(known, sort_keys=True).encode()
    return sha256(said + (place / "detector.safetensors").read_bytes()).hexdigest()
