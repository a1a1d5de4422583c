"""A data set in rows: a local file or folder, or a table of the Hugging Face hub.

What was read from the hub once is read from its cache where the hub cannot be reached. No code is ever run.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hneuro.progress import is_quiet
from hneuro.questions.rows import SUFFIXES, Choose, Row, digest, read_rows
from hneuro.records import Origin, UserError

Part = tuple[str, list[Row]]  # its name in messages, its rows
COMMIT = re.compile(r"[0-9a-f]{40}")
INSTEAD = "a local file or folder can stand in its place (path=...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a table, in the columns that were asked for, and where they came from."""

    rows: tuple[Row, ...]
    origin: Origin
    is_text: bool  # every cell is a text, as in csv

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """Each row with its number, from 1."""
        return enumerate(self.rows, 1)

    def fault(self, number: int, what: str) -> UserError:
        return UserError(f"{self.origin.source}, row {number}: {what}")


@dataclass(frozen=True, kw_only=True)
class Table:
    """`path` is a local file (jsonl, json, csv or parquet), a local folder, or the id of a data set on the hub.

    In a folder and on the hub `files` names the files, else `config` and `split` choose them; a file has neither.
    `revision` pins a commit, tag or branch of the hub; the commit that was read is recorded.
    """

    path: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    files: tuple[str, ...] = ()

    def read(
        self, needed: Sequence[str], optional: Sequence[str] = (), within: str = "", ask: Sequence[str] = ()
    ) -> Rows:
        """All rows; `UserError` of one line if they cannot be had, or if one lacks a column that is needed.

        `within`: the key under which a JSON file may hold its rows. `ask`: the settings that name the needed columns.
        """

        def choose(names: Sequence[str]) -> list[str]:
            """Those that are asked for; all where one is lacking, for the message that lists them."""
            return [name for name in names if name in wanted] if {*needed} <= {*names} else list(names)

        local, wanted = Path(self.path), dict.fromkeys([*needed, *optional])
        if local.exists():
            parts = [(str(file), read_rows(file, within, choose)) for file in self._local_files(local)]
            source, revision = self.path, ""
        elif local.suffix in SUFFIXES or self.path.count("/") != 1 or self.path.startswith(("/", ".", "~")):
            raise UserError(f"the file {self.path} does not exist")
        else:
            source = f"{self.path} ({', '.join([*filter(None, [self.config, self.split]), *self.files])})"
            parts, revision = _of_hub(self, within, choose)
        rows: list[Row] = []
        for name, part in parts:
            for number, row in enumerate(part, 1):
                for place, column in enumerate(needed):
                    if column not in row:
                        way = f": name the column that holds it, as {ask[place]}=NAME" if ask else ""
                        raise UserError(
                            f"{name}, row {number} has no {column!r}; it has {', '.join(map(str, row))}{way}"
                        )
                rows.append({column: row[column] for column in wanted if column in row})
        origin = Origin(source=source, revision=revision, fingerprint=digest(rows), rows=len(rows))
        is_text = any(name.endswith(".csv") for name, _ in parts)
        return Rows(rows=tuple(rows), origin=origin, is_text=is_text)

    def _local_files(self, path: Path) -> list[Path]:
        """The file itself, or the files of a folder that fit `files`, or else `config` and `split`."""
        if path.is_file():
            return [path]
        every = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and "/." not in str(file))
        if self.files:
            fitting = [f for f in every if any(fnmatch.fnmatch(f.relative_to(path).as_posix(), p) for p in self.files)]
        else:
            fitting = every
            for wanted in filter(None, (self.config, self.split)):
                fitting = [f for f in fitting if _belongs(f.relative_to(path), wanted)]
        if not fitting:
            asked = ", ".join([*self.files, *filter(None, (self.config, self.split))]) or "any rows"
            there = ", ".join(f.relative_to(path).as_posix() for f in every[:8]) or "none"
            raise UserError(f"the folder {path} has no file for {asked}; the files there are: {there}")
        if len({file.suffix for file in fitting}) > 1:
            raise UserError(f"the folder {path} has files of several kinds: say which ones, as files=[...]")
        return fitting


def _belongs(file: Path, wanted: str) -> bool:
    """Whether a part of the path is this config or split: "rc.nocontext/train-00000-of-00001.parquet" is of both."""
    names = [*file.parts[:-1], file.stem]
    return any(name == wanted or name.startswith((f"{wanted}-", f"{wanted}_", f"{wanted}.")) for name in names)


def _of_hub(table: Table, within: str, choose: Choose) -> tuple[list[Part], str]:
    """The rows of a hub data set, and the commit that they are of. `UserError` says what the hub has instead.

    Files that are named are read as they would be from the disk; without names, `datasets.load_dataset` finds the data
    files of a config and split.
    """
    path, revision = table.path, table.revision
    if table.files:
        from huggingface_hub import hf_hub_download

        with _one_line(path, ", ".join(table.files), revision):
            found = [Path(hf_hub_download(path, file, repo_type="dataset", revision=revision)) for file in table.files]
        commit = found[0].parts[-1 - len(Path(table.files[0]).parts)]  # .../snapshots/<commit>/<file>
        rows = [read_rows(file, within, choose) for file in found]
        parts = [(f"{path}/{name}", part) for name, part in zip(table.files, rows, strict=True)]
    else:
        parts, commit = _of_split(path, table.config, table.split, revision, choose)
    if revision and COMMIT.fullmatch(revision) and commit != revision:
        raise UserError(f"{path}: the cache has commit {commit}, not {revision}: allow the hub, or pin that commit")
    return parts, commit


def _of_split(
    path: str, config: str | None, split: str | None, revision: str | None, choose: Choose
) -> tuple[list[Part], str]:
    import datasets

    if not split:
        raise UserError(f"{path} is on the hub: say which split to read, or which files")
    if is_quiet():
        datasets.disable_progress_bars()
    asked = f"{config}, {split}" if config else split
    with _one_line(path, asked, revision):
        table = datasets.load_dataset(path, config, split=split, revision=revision)
    # The cache keeps a data set under the commit that it was made from: .../<config>/<version>/<commit>/<file>.arrow
    commit = Path(table.cache_files[0]["filename"]).parent.name
    return [(f"{path} ({asked})", table.select_columns(choose(table.column_names)).to_list())], commit


@contextmanager
def _one_line(path: str, asked: str, revision: str | None) -> Iterator[None]:
    """Turns whatever the hub's libraries raise into a `UserError` that says what to do."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import constants, errors

    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, DatasetNotFoundError) as fault:
        if isinstance(fault, errors.GatedRepoError) or "gated" in str(fault):
            raise UserError(f"{path} is gated: ask for access on its page of the hub, and set HF_TOKEN") from fault
        if isinstance(fault, errors.RevisionNotFoundError) or "Revision" in str(fault):
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
