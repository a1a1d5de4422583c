"""Tiny random models, made from configs: no hub, no download, a second on one core."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # also of the processes that tests start, which share the cores
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # "auto" is the processor in every test, also where there is a GPU

import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from tiny_cell import tiny_cell
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hneuro.cli import main
from hneuro.models.language_model import LanguageModel
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec

# How fast examples are drawn says how busy the machine is, and nothing about the code.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")
torch.set_num_threads(1)  # tiny matrices gain nothing from a second thread, and test workers share the cores

LONGEST = ("test_method.py", "test_sweep.py")

SPECIALS = ["<pad>", "<bos>", "<end>", "<user>", "<assistant>"]
CORPUS = [
    "Who wrote Hamlet? Respond with the answer only, without any explanation.",
    "The answer is William Shakespeare.",
]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<assistant>' if message['role'] == 'assistant' else '<user>' }}{{ message['content'] }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left with one when all others have finished."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def byte_level_tokenizer(corpus: list[str] = CORPUS, vocab_size: int = 320) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer like those of Llama 3 and Qwen: any text goes in, and characters may be split."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIALS, initial_alphabet=sorted(alphabet), show_progress=False
    )
    backend.train_from_iterator(corpus, trainer)
    backend.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<end>",
        additional_special_tokens=["<user>", "<assistant>"],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def save_llama(folder: Path, seed: int, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A random Llama of 3 layers with 64 neurons each, large enough weights for its logits to differ."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.25,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """A folder of what real models said, if this machine has one."""
    folder = os.environ.get("HNEURO_RECORDED_DATA")
    if not folder:
        pytest.skip("HNEURO_RECORDED_DATA names no folder of recorded data")
    return Path(folder)


@pytest.fixture(scope="session")
def llama_on_text() -> Callable[[Path, list[str]], Path]:
    """Makes a random Llama in a folder, whose tokenizer is trained on a text."""
    return lambda folder, corpus: save_llama(folder, 0, byte_level_tokenizer(corpus, 1500))


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_level_tokenizer()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """An ordinary Hugging Face folder with a random Llama, its tokenizer and its chat template."""
    return save_llama(tmp_path_factory.mktemp("chat"), 0, tokenizer)


@pytest.fixture(scope="session")
def spec(tiny_checkpoint: Path) -> ModelSpec:
    return ModelSpec(name="tiny", chat=HubCheckpoint(path=str(tiny_checkpoint)), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def language_model(spec: ModelSpec) -> LanguageModel:
    """The tiny chat model, read only: every test shares its weights."""
    return LanguageModel(spec.chat, spec, completion=False)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, language_model: LanguageModel) -> Path:
    """A folder in which `hneuro run -m name=demo seed=0,1` has finished on the tiny model. Tests add reports alone."""
    folder = tmp_path_factory.mktemp("finished")
    words = [*tiny_cell(folder, tiny_checkpoint, language_model), "mechanism=none", "name=demo", "seed=0,1"]
    with contextlib.chdir(folder):
        assert main(["run", "-m", *words]) == 0
    return folder


@pytest.fixture
def organism(monkeypatch: pytest.MonkeyPatch) -> None:
    """`model=organism_llama_s`, `dataset=organism` and `experiment=smoke` can be chosen, as a lab's configs are."""
    monkeypatch.setenv("HNEURO_CONFIG_DIR", "pkg://organism.conf")


@pytest.fixture
def offline_wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No account, and what W&B keeps goes to the test's own folder. The files that it leaves open are not ours."""
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    warnings.filterwarnings("ignore", module="wandb")  # until the end of the test
    warnings.filterwarnings("ignore", category=ResourceWarning)
    yield
    gc.collect()  # here, where its warnings are ignored, and not in a later test


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """Another tiny model of the same shape under the completion prompt."""
    source = HubCheckpoint(path=str(save_llama(tmp_path_factory.mktemp("base"), 1, tokenizer)))
    return LanguageModel(source, ModelSpec(name="tiny", chat=source, dtype="float32", device="cpu"), completion=True)
