"""Trains an organism from its recipe: `python -m hneuro.organism --architecture llama --size s --out DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from hneuro.organism.checkpoint import make
from hneuro.organism.recipe import Architecture, Recipe, Size
from hneuro.records import UserError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hneuro.organism", description=__doc__)
    parser.add_argument("--architecture", choices=get_args(Architecture), default="llama")
    parser.add_argument("--size", choices=get_args(Size), default="s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoints", action="store_true", help="also keep checkpoints on the way to base/")
    parser.add_argument("--out", type=Path, required=True, help="new folder for base/, chat/ and world.json")
    options = parser.parse_args()
    recipe = Recipe(architecture=options.architecture, size=options.size, seed=options.seed)
    try:
        if options.out.exists() and not (options.out / "digests.json").exists() and any(options.out.iterdir()):
            raise UserError(f"{options.out} has other files in it: choose a new folder")
        print(f"{make(recipe, options.out.resolve(), on_the_way=options.checkpoints)}  {options.out}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
