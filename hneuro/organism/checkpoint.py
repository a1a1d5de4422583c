"""Where a model organism lies: shipped with the package, kept in the user's cache, or trained into it now."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from hneuro.organism import card
from hneuro.organism.recipe import MOMENTS, Recipe
from hneuro.organism.world import World
from hneuro.records import UserError

SHIPPED = Path(__file__).parent / "shipped"
DIGESTS = "digests.json"


def organism(recipe: Recipe, cache: Path | None = None, *, on_the_way: bool = False) -> Path:
    """The folder with `base/`, `chat/` and `world.json` of this recipe, trained on first use.

    `on_the_way`: also with the checkpoints of `MOMENTS`. Then all of them come from one training here, because the last
    bits of a training depend on the machine, and the shipped checkpoints may lie at the end of another path.

    Trained organisms are kept in `cache`/organisms/<key>, by default below $HNEURO_CACHE, $XDG_CACHE_HOME/hneuro or
    ~/.cache/hneuro. Raises UserError if the files there are not those that the training left.
    """
    shipped = SHIPPED / f"{recipe.architecture}_{recipe.size}"
    if not on_the_way and (shipped / DIGESTS).exists() and read_digests(shipped)["key"] == recipe.key:
        verify(shipped, remedy="reinstall hneuro")
        return shipped
    name = f"{recipe.key}-on-the-way" if on_the_way else recipe.key
    folder = (cache or default_cache()) / "organisms" / name
    if not (folder / DIGESTS).exists():
        _make_once(recipe, folder, on_the_way)
    verify(folder, remedy="remove that folder, and the organism is trained anew")
    return folder


def default_cache() -> Path:
    if own := os.environ.get("HNEURO_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "hneuro"


def _make_once(recipe: Recipe, folder: Path, on_the_way: bool) -> None:
    """Two processes that want the same organism train it once: the second waits for the first."""
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / DIGESTS).exists():
                make(recipe, folder, on_the_way=on_the_way)
    except OSError as error:
        raise UserError(f"cannot keep the organism in {folder}: {error}; set HNEURO_CACHE to another folder") from error


def make(recipe: Recipe, folder: Path, *, on_the_way: bool = False) -> str:
    """Trains the recipe into `folder`, replacing what is there only when everything is done. Returns the digest."""
    from hneuro.organism.tokens import build_tokenizer
    from hneuro.organism.train import train

    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        world = World.build(recipe)
        tokenizer = build_tokenizer(world)

        def keep(model: Any, stage: str) -> None:
            model.save_pretrained(work / stage)
            tokenizer.save_pretrained(work / stage)
            told = f"base after {100 * MOMENTS[stage]:.0f} % of its pre-training" if stage in MOMENTS else stage
            (work / stage / "README.md").write_text(card.model_card(recipe, world, told), encoding="utf-8")

        train(recipe, world, tokenizer, keep, on_the_way=on_the_way)
        world.save(work / "world.json")
        files = {name: _sha256(work / name) for name in _files(work)}
        (work / DIGESTS).write_text(json.dumps({"key": recipe.key, "files": files}, indent=1) + "\n", encoding="utf-8")
        work.chmod(0o755)  # mkdtemp makes private folders
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return digest(folder)


def digest(folder: Path) -> str:
    """One digest of all files of an organism."""
    return hashlib.sha256(json.dumps(read_digests(folder), sort_keys=True).encode()).hexdigest()


def read_digests(folder: Path) -> dict[str, Any]:
    try:
        digests: dict[str, Any] = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return {"key": str(digests["key"]), "files": dict(digests["files"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / DIGESTS} cannot be read: {error}; remove {folder} or reinstall hneuro") from error


def verify(folder: Path, remedy: str) -> None:
    """UserError if a file of the organism is missing or differs from what was written."""
    for name, expected in read_digests(folder)["files"].items():
        path = folder / name
        if not path.exists():
            raise UserError(f"the organism in {folder} lacks {name}: {remedy}")
        if _sha256(path, path.stat().st_mtime_ns) != expected:
            raise UserError(f"the organism's file {path} is damaged (its digest is not the recorded one): {remedy}")


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@lru_cache(maxsize=256)
def _sha256(path: Path, modified: int = 0) -> str:  # noqa: ARG001
    """`modified` (ns) is part of the cache's key, so that a file that changed is read again."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
