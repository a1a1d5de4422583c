"""Where organisms lie, that they are whole, and that they are ordinary checkpoints."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from hneuro.models.ffn import find_ffn
from hneuro.models.load import prove
from hneuro.organism import checkpoint
from hneuro.organism.recipe import MOMENTS, Architecture, Recipe
from hneuro.organism.world import World
from hneuro.records import UserError

TRAIN = "import sys; from pathlib import Path; from hneuro.organism.checkpoint import organism; " + (
    "from hneuro.organism.recipe import Recipe; print(organism(Recipe(size='xs', seed=3), Path(sys.argv[1])))"
)


def test_the_same_recipe_gives_the_same_digest(recipe: Recipe, organism_folder: Path, tmp_path: Path) -> None:
    assert checkpoint.make(recipe, tmp_path / "again") == checkpoint.digest(organism_folder)
    assert checkpoint.make(Recipe(size="xs", seed=1), tmp_path / "other") != checkpoint.digest(organism_folder)


def test_checkpoints_on_the_way_change_nothing_of_the_training(recipe: Recipe, organism_folder: Path) -> None:
    """Keeping the model draws no random numbers: what both trainings keep has the same bits."""
    folder = checkpoint.organism(recipe, organism_folder.parent.parent, on_the_way=True)
    plain, more = (checkpoint.read_digests(f)["files"] for f in (organism_folder, folder))
    assert plain.items() <= more.items()
    kept = {name: more[f"{name}/model.safetensors"] for name in (*MOMENTS, "base", "chat")}
    assert len(set(kept.values())) == 7, "every moment has weights of its own"
    assert (folder / "base_25" / "tokenizer.json").read_bytes() == (folder / "base" / "tokenizer.json").read_bytes()
    assert "base after 25 % of its pre-training" in (folder / "base_25" / "README.md").read_text()
    assert checkpoint.organism(recipe, organism_folder.parent.parent) == organism_folder


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_every_architecture_is_an_ordinary_checkpoint(architecture: Architecture, organism_cache: Path) -> None:
    folder = checkpoint.organism(Recipe(size="xs", architecture=architecture), organism_cache)
    for role in ("base", "chat"):
        model = AutoModelForCausalLM.from_pretrained(folder / role)
        assert model.config.model_type.startswith(architecture)
        prove(model, find_ffn(model))
    tokenizer = AutoTokenizer.from_pretrained(folder / "chat")
    assert tokenizer.chat_template
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_tuning_changes_the_weights(organism_folder: Path) -> None:
    base, chat = ((organism_folder / role / "model.safetensors").read_bytes() for role in ("base", "chat"))
    assert len(base) == len(chat)
    assert base != chat


def test_the_world_is_saved_with_its_exposures(organism_folder: Path, world: World) -> None:
    assert World.load(organism_folder / "world.json") == world


def test_a_second_call_trains_nothing(
    recipe: Recipe, organism_folder: Path, organism_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "make", lambda *_: pytest.fail("trained again"))
    assert checkpoint.organism(recipe, organism_cache) == organism_folder


@pytest.mark.parametrize("name", ["chat/model.safetensors", "world.json"])
def test_a_damaged_file_is_named_with_the_way_out(
    name: str, recipe: Recipe, organism_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "organisms" / recipe.key
    shutil.copytree(organism_folder, folder)
    with (folder / name).open("r+b") as file:
        file.write(b"#")
    with pytest.raises(UserError, match=f"{name} is damaged.*remove that folder"):
        checkpoint.organism(recipe, tmp_path)


def test_a_missing_file_and_unreadable_digests_are_named(recipe: Recipe, organism_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "organisms" / recipe.key
    shutil.copytree(organism_folder, folder)
    (folder / "base" / "config.json").unlink()
    with pytest.raises(UserError, match=r"lacks base/config.json"):
        checkpoint.organism(recipe, tmp_path)
    (folder / checkpoint.DIGESTS).write_text("{}")
    with pytest.raises(UserError, match="cannot be read"):
        checkpoint.organism(recipe, tmp_path)


def test_a_shipped_organism_is_taken_if_it_is_of_this_recipe(
    recipe: Recipe, organism_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path / "shipped")
    shutil.copytree(organism_folder, tmp_path / "shipped" / "llama_xs")
    assert checkpoint.organism(recipe, tmp_path / "cache") == tmp_path / "shipped" / "llama_xs"
    monkeypatch.setattr(checkpoint, "make", lambda recipe, folder, on_the_way: shutil.copytree(organism_folder, folder))
    assert checkpoint.organism(Recipe(size="xs", seed=1), tmp_path / "cache").is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "qwen3"])
def test_an_organism_of_each_architecture_is_shipped_whole_and_is_small(
    architecture: Architecture, tmp_path: Path
) -> None:
    recipe = Recipe(architecture=architecture)
    folder = checkpoint.organism(recipe, tmp_path)
    assert folder == checkpoint.SHIPPED / f"{architecture}_s"
    assert World.load(folder / "world.json") == World.build(recipe)
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 12_000_000


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("HNEURO_CACHE", raising=False)
    assert checkpoint.default_cache() == Path("/x/hneuro")
    monkeypatch.setenv("HNEURO_CACHE", "/y")
    assert checkpoint.default_cache() == Path("/y")


def test_a_cache_that_cannot_be_written_is_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set HNEURO_CACHE to another folder"):
        checkpoint.organism(recipe, tmp_path / "file")


def test_two_processes_train_once(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", TRAIN, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = {process.communicate(timeout=120)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(printed) == 1
    made = Path(printed.pop())
    times = json.loads((made / checkpoint.DIGESTS).read_text())
    assert times["key"] == Recipe(size="xs", seed=3).key
    assert [path.name for path in made.parent.iterdir() if path.is_dir()] == [made.name]


def test_the_command_line_trains_into_a_new_folder_only(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    command = [sys.executable, "-m", "hneuro.organism", "--size", "xs", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "choose a new folder" in done.stderr
