"""A data set in rows: a hub id, or a local file or folder in its place."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hneuro.questions.rows import SUFFIXES, Row, digest, read_rows
from hneuro.records import Origin, UserError


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
            from hneuro.questions.hub import read_hub

            source = f"{self.path} ({', '.join([*filter(None, [self.config, self.split]), *self.files])})"
            parts, revision = read_hub(self.path, self.config, self.split, self.revision, self.files, within, choose)
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
