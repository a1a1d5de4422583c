"""`hneuro configs`: every choice of every group with where it comes from, and the check of a whole folder of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from tabulate import tabulate

from hneuro.config import build_experiment, config_folder, config_source, folder_of, lab_source, register_schema
from hneuro.config_faults import explain, quoted, suggest
from hneuro.hydra_keys import take_the_place_of_the_loader
from hneuro.records import UserError

# Choices that stand inside another part, and how one is put there.
INSIDE = {
    "questions": ["dataset=file", "questions@dataset.identification={choice}"],
    "endpoint": ["judge=llm", "judge.endpoint.model=any", "endpoint@judge.endpoint={choice}"],
}
CHECKED_WITH = re.compile(r"^# checked with: (.*)$", re.MULTILINE)


def configs(sources: Sequence[str], check: str | None) -> int:
    """Lists the choices of the package, of $HNEURO_CONFIG_DIR and of `sources`; or checks a folder or package."""
    register_schema()
    take_the_place_of_the_loader()
    if check is not None:
        return _check(folder_of(config_source(check)) if check.startswith("pkg://") else Path(check))
    named = [lab_source(), *(config_source(source) for source in sources)]
    origins = {"built in": config_folder()} | {source: folder_of(source) for source in named if source}
    rows = [
        [group, choice, origin, description(file)]
        for origin, folder in origins.items()
        for group, choice, file in choices(folder)
    ]
    print(tabulate(sorted(rows), headers=["group", "choice", "from", ""], tablefmt="simple", disable_numparse=True))
    return 0


def choices(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """(group, choice, file) of all that a folder of configs offers."""
    for file in sorted(folder.rglob("*.yaml")):
        group = file.parent.relative_to(folder).as_posix()
        if group != ".":
            yield group, file.stem, file


def description(file: Path) -> str:
    """The first comment, which says what the choice is."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("# ") and not line.startswith("# @package"):
            return line.removeprefix("# ")
        if line.strip() and not line.startswith("#"):
            break
    return ""


def _check(folder: Path) -> int:
    """Composes and builds every choice of a folder on top of the defaults, without loading any model."""
    if not folder.is_dir():
        raise UserError(f"--check: there is no folder {folder}")
    groups = {group for group, _, _ in choices(config_folder())}
    count, faults = 0, [f"{file}: it is in no group" for file in sorted(folder.glob("*.yaml"))]
    for group, choice, file in choices(folder):
        count += 1
        if group not in groups and not group.startswith("hydra/"):
            faults.append(f"{file}: there is no group {group!r}; {suggest(group, sorted(groups))}")
        elif fault := _fault(folder, group, choice, file):
            faults.append(f"{file}: {fault}")
    print("\n".join([*faults, f"{count} choices checked, {len(faults)} faults"]))
    return 2 if faults else 0


def _policy_fault(file: Path) -> str | None:
    from hneuro.serve.policy import load_policy

    try:
        load_policy(str(file))
    except UserError as fault:
        return str(fault)
    return None


def _fault(folder: Path, group: str, choice: str, file: Path) -> str | None:
    """What is wrong with a choice, in a line. Its comment `# checked with: a=b c=d` gives what a user has to give."""
    try:
        text = file.read_text(encoding="utf-8")
        yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as fault:
        return "not yaml: " + "; ".join(line.strip() for line in str(fault).splitlines())
    if group == "policy":  # of `hneuro serve`, and not part of a run
        return _policy_fault(file)
    words = [word.format(choice=choice) for word in INSIDE.get(group, [f"{group}={{choice}}"])]
    words += [word for given in CHECKED_WITH.findall(text) for word in given.split()]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            cfg = compose("config", overrides=[f"hydra.searchpath=[{quoted(config_source(str(folder)))}]", *words])
            build_experiment(cfg)
    except (HydraException, OmegaConfBaseException, RecursionError) as fault:
        return explain(fault)
    except UserError as fault:
        return str(fault)
    finally:
        GlobalHydra.instance().clear()
    return None
