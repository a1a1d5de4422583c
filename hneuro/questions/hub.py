"""Tables of the Hugging Face hub. What was read once is read from its cache where the hub cannot be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hneuro.progress import is_quiet
from hneuro.questions.rows import Choose, Row, read_rows
from hneuro.records import UserError

Part = tuple[str, list[Row]]  # its name in messages, its rows
COMMIT = re.compile(r"[0-9a-f]{40}")
INSTEAD = "a local file or folder can stand in its place (path=...)"


def read_hub(
    path: str,
    config: str | None,
    split: str | None,
    revision: str | None,
    files: Sequence[str],
    within: str,
    choose: Choose,
) -> tuple[list[Part], str]:
    """The rows of a hub data set, and the commit that they are of. `UserError` says what the hub has instead.

    Files that are named are read as they would be from the disk; without names, `datasets.load_dataset` finds the data
    files of a config and split. No code is ever run.
    """
    if files:
        parts, commit = _files(path, revision, files, within, choose)
    else:
        parts, commit = _split(path, config, split, revision, choose)
    if revision and COMMIT.fullmatch(revision) and commit != revision:
        raise UserError(f"{path}: the cache has commit {commit}, not {revision}: allow the hub, or pin that commit")
    return parts, commit


def _files(
    path: str, revision: str | None, files: Sequence[str], within: str, choose: Choose
) -> tuple[list[Part], str]:
    from huggingface_hub import hf_hub_download

    with _one_line(path, ", ".join(files), revision):
        found = [Path(hf_hub_download(path, file, repo_type="dataset", revision=revision)) for file in files]
    commit = found[0].parts[-1 - len(Path(files[0]).parts)]  # .../snapshots/<commit>/<file>
    rows = [read_rows(file, within, choose) for file in found]
    return [(f"{path}/{name}", part) for name, part in zip(files, rows, strict=True)], commit


def _split(
    path: str, config: str | None, split: str | None, revision: str | None, choose: Choose
) -> tuple[list[Part], str]:
    import datasets

    if not split:
        raise UserError(f"{path} is on the hub: say which split to read, or which files")
    if is_quiet():
        datasets.disable_progress_bars()
    asked = f"{config}, {split}" if config else split
    with _one_line(path, asked, revision):
        found = datasets.load_dataset(path, config, split=split, revision=revision)
    # The cache keeps a data set under the commit that it was made from: .../<config>/<version>/<commit>/<file>.arrow
    commit = Path(found.cache_files[0]["filename"]).parent.name
    return [(f"{path} ({asked})", found.select_columns(choose(found.column_names)).to_list())], commit


@contextmanager
def _one_line(path: str, asked: str, revision: str | None) -> Iterator[None]:
    """Turns whatever the hub's libraries raise into a `UserError` that says what to do."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError as fault:
        raise _gated(path) from fault
    except errors.RevisionNotFoundError as fault:
        raise UserError(f"{path} has no revision {revision!r}") from fault
    except (errors.RepositoryNotFoundError, DatasetNotFoundError) as fault:
        if "gated" in str(fault):
            raise _gated(path) from fault
        if "Revision" in str(fault):
            raise UserError(f"{path} has no revision {revision!r}") from fault
        raise UserError(f"{path} is neither here nor on the hub (private ones need HF_TOKEN); {INSTEAD}") from fault
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError) as fault:
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "no connection"
        raise UserError(f"{path} is not in the cache, and the hub cannot be reached ({why}); {INSTEAD}") from fault
    except errors.EntryNotFoundError as fault:
        raise UserError(f"{path} has no file {asked}") from fault
    except Exception as fault:  # of an HTTP client, of a builder, of a reader of files: theirs to name
        said = " ".join(str(fault).split())[:300]
        raise UserError(f"cannot read {path} ({asked}) from the hub or its cache: {said}; {INSTEAD}") from fault


def _gated(path: str) -> UserError:
    return UserError(f"{path} is gated: ask for access on its page of the hub, and set HF_TOKEN")
