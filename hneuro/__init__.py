"""hneuro: find the hallucination-associated neurons of a language model, and test whether they are causal.

model = hneuro.load("smollm2_135m")              # a name of conf/model, a folder, a GGUF file, a hub id
model.cett("Who wrote Hamlet?").values           # [token, layer, neuron]
detector = hneuro.Detector.load(run_dir)         # what a run has trained
detector.answer("Who wrote Hamlet?").score
hneuro.results(run_dir).rows                     # every number of a run, a data frame
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Detector", "Model", "load", "results"]

if TYPE_CHECKING:
    from hneuro.api import Model, load, results
    from hneuro.detector import Detector


def __getattr__(name: str) -> Any:
    """The library is imported when it is used: the command line starts without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("hneuro.detector" if name == "Detector" else "hneuro.api"), name)
