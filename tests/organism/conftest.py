"""One reduced organism, trained once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hneuro.organism.checkpoint import organism
from hneuro.organism.recipe import Recipe
from hneuro.organism.world import World


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(size="xs")


@pytest.fixture(scope="session")
def world(recipe: Recipe) -> World:
    return World.build(recipe)


@pytest.fixture(scope="session")
def organism_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def organism_folder(recipe: Recipe, organism_cache: Path) -> Path:
    return organism(recipe, organism_cache)
