"""Rows of a local file: jsonl, json, csv or parquet. Whatever is read from a file is read here."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hneuro.records import UserError

Row = Mapping[str, Any]
HALF = re.compile(r"\\u[dD][89a-fA-F]")  # a surrogate, which is not text unless it is one of a pair
SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")


Choose = Callable[[Sequence[str]], list[str]]  # which columns of a table are read, of those that it has


def read_rows(path: Path, within: str = "", choose: Choose = list) -> list[Row]:
    """All rows of a file, in its order. `UserError` of one line, with the number of the line or row, where it cannot.

    Cells of csv stay texts, so that 007 is not 7 and NA is not nothing. `within`: the key under which a JSON object may
    hold the rows. `choose`: of parquet, whose other columns (perhaps images) are not even read.
    """
    with _reading(path):
        match path.suffix:
            case ".jsonl":
                return _jsonl(path)
            case ".json":
                return _json(path, within)
            case ".csv":
                return _csv(path)
            case ".parquet":
                return _parquet(path, choose)
    raise UserError(f"{path}: rows are read from {', '.join(SUFFIXES[:-1])} and {SUFFIXES[-1]} files")


def digest(rows: Iterable[Any]) -> str:
    """sha256 of JSON-ready rows, in their order."""
    found = hashlib.sha256()
    for row in rows:
        found.update(json.dumps(row, sort_keys=True, ensure_ascii=False, default=str).encode() + b"\n")
    return found.hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise UserError(f"{path} is not a file" if path.exists() else f"the file {path} does not exist")
    try:
        yield
    except UnicodeDecodeError as fault:
        raise UserError(f"cannot read {path}: it is not UTF-8 text: convert it") from fault
    except RecursionError as fault:
        raise UserError(f"cannot read {path}: its JSON is nested too deeply") from fault
    except (ValueError, OSError, csv.Error) as fault:
        raise UserError(f"cannot read {path}: {str(fault).splitlines()[0]}") from fault


def _jsonl(path: Path) -> list[Row]:
    rows: list[Row] = []
    # Not `splitlines`: a JSON text may hold the rarer line breaks of Unicode as they are.
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as fault:
                raise ValueError(f"line {number} is not JSON: {fault}") from fault
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            if HALF.search(line):
                _check_whole(row, f"line {number}")
            rows.append(row)
    return rows


def _json(path: Path, within: str) -> list[Row]:
    text = path.read_text("utf-8-sig")
    rows = json.loads(text)
    if HALF.search(text):
        _check_whole(rows, "it")
    if within and isinstance(rows, dict) and within in rows:
        rows = rows[within]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(
            "it must be a list of JSON objects, one for each row" + f", perhaps as {within!r}" * bool(within)
        )
    return list(rows)


def _check_whole(value: Any, what: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as fault:
        raise ValueError(f"{what} has half a character, {fault.object[fault.start]!r} without its pair") from fault


def _csv(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows, names = list(reader), reader.fieldnames or ()
    if twice := next((name for name in names if list(names).count(name) > 1), None):
        raise ValueError(f"its header names the column {twice!r} twice")
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has not as many cells as the header")
    return list(rows)


def _parquet(path: Path, choose: Choose) -> list[Row]:
    from pyarrow import parquet

    rows: list[Row] = parquet.read_table(path, columns=choose(parquet.read_schema(path).names)).to_pylist()
    return rows
