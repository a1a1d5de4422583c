"""Responses that were sampled elsewhere, read from files: tables with token ids and log-probabilities, or texts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hneuro.questions.options import plain_text
from hneuro.questions.recordings import read_recordings
from hneuro.questions.rows import Row, read_json, read_rows
from hneuro.records import UserError


@dataclass(frozen=True, kw_only=True)
class ResponseColumns:
    """The columns of a table with a row for each response, or one for each question whose cells are lists.

    Only ids and texts must be there. The defaults are those of `records.jsonl` in the store of hneuro.
    """

    id: str = "question_id"
    question: str = "question"
    sample: str = "sample"
    text: str = "text"
    prompt_ids: str = "prompt_ids"
    token_ids: str = "token_ids"
    logprobs: str = "logprobs"
    entropies: str = "entropies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A response as its file has it. None: the file does not say."""

    where: str
    sample: int
    text: str
    question: str | None = None  # as it was put, with whatever instruction stood behind it
    prompt_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] = ()
    entropies: tuple[float, ...] = ()
    lost: str = ""
    truncated: bool = False


Responses = Mapping[str, Sequence[Recorded]]  # of each question id, by sample


def read_responses(path: Path, columns: ResponseColumns) -> Responses:
    """All responses of a file by question: of a table, or of the formats that `questions.recordings` reads.

    `UserError` names the file, the row and what does not fit.
    """
    if path.suffix == ".json" and isinstance(read_json(path), dict):
        return _recordings(path)
    rows = read_rows(path)
    if not rows:
        raise UserError(f"{path} has no recorded responses: it is empty")
    first = rows[0]
    if columns.text in first:
        return _table(path, rows, columns)
    nested = all(isinstance(value, Mapping) for value in first.values())
    if nested or (columns == ResponseColumns() and {"response", "responses"} & set(first)):
        return _recordings(path)
    raise UserError(
        f"{path}, row 1 has no {columns.text!r}; it has {', '.join(map(str, first))}: "
        "name its columns in sampling.columns"
    )


def _recordings(path: Path) -> Responses:
    return {
        recording.id: [
            Recorded(where=f"{path}, question {recording.id!r}", sample=n, text=text, question=recording.question)
            for n, text in enumerate(recording.responses)
        ]
        for recording in read_recordings(path)
    }


def _table(path: Path, rows: Sequence[Row], columns: ResponseColumns) -> Responses:
    found: dict[str, dict[int, Recorded]] = {}
    for number, row in enumerate(rows, 1):
        where = f"{path}, row {number}"
        question_id = plain_text(row.get(columns.id))
        if not question_id:
            raise UserError(f"{where} has no {columns.id!r}, by which questions find their responses")
        before = found.setdefault(question_id, {})
        for recorded in _responses(row, columns, where, parsed=path.suffix == ".csv"):
            if recorded.sample < 0:  # not numbered in the file
                recorded = replace(recorded, sample=len(before))
            if recorded.sample in before:
                raise UserError(
                    f"{where}: sample {recorded.sample} of question {question_id!r} is there more than once"
                )
            before[recorded.sample] = recorded
    return {name: [by_sample[n] for n in sorted(by_sample)] for name, by_sample in found.items()}


def _responses(row: Row, columns: ResponseColumns, where: str, *, parsed: bool) -> list[Recorded]:
    """The responses of a row: one, or with lists of texts several."""
    names = (columns.text, columns.sample, columns.prompt_ids, columns.token_ids, columns.logprobs, columns.entropies)
    cells = {name: _parsed(row.get(name)) if parsed else row.get(name) for name in names}
    texts = cells[columns.text]
    if not isinstance(texts, list):
        return [_response(row, cells, columns, where)]
    count = len(texts)
    found = []
    for n in range(count):
        each = dict(cells)
        for name in (columns.text, columns.token_ids, columns.logprobs, columns.entropies):
            if (cell := cells[name]) is not None:
                if not isinstance(cell, list) or len(cell) != count:
                    raise UserError(f"{where}: {count} texts, but {name!r} is no list of {count}")
                each[name] = cell[n]
        found.append(_response(row, each | {columns.sample: n}, columns, where))
    return found


def _response(row: Row, cells: Mapping[str, Any], columns: ResponseColumns, where: str) -> Recorded:
    text, number = cells[columns.text], cells[columns.sample]
    if not isinstance(text, str):
        raise UserError(f"{where}: {columns.text!r} is no text")
    token_ids = _token_ids(cells[columns.token_ids], columns.token_ids, where)
    return Recorded(
        where=where,
        sample=-1 if number is None else _whole(number, columns.sample, where),
        text=text,
        question=plain_text(row.get(columns.question)) or None,
        prompt_ids=_token_ids(cells[columns.prompt_ids], columns.prompt_ids, where),
        token_ids=token_ids,
        logprobs=_measured(cells[columns.logprobs], columns.logprobs, token_ids, (-math.inf, 1e-3), where),
        entropies=_measured(cells[columns.entropies], columns.entropies, token_ids, (-1e-3, math.inf), where),
        lost=plain_text(row.get("lost")),
        truncated=plain_text(row.get("truncated")).lower() == "true",
    )


def _parsed(cell: Any) -> Any:
    """A cell of csv, whose lists are written as JSON; "[sic]" is a text like any other."""
    try:
        return json.loads(cell) if isinstance(cell, str) and cell.startswith("[") else cell or None
    except ValueError:
        return cell


def _whole(value: Any, column: str, where: str) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not number.is_integer() or number < 0:
        raise UserError(f"{where}: {column!r} must be a number from 0, not {plain_text(value)[:40]!r}")
    return int(number)


def _token_ids(cell: Any, column: str, where: str) -> tuple[int, ...] | None:
    if cell is None:
        return None
    if not isinstance(cell, list) or not all(type(token) is int and token >= 0 for token in cell):
        raise UserError(f"{where}: {column!r} must be a list of token ids")
    return tuple(cell)


def _measured(
    cell: Any, column: str, token_ids: Sequence[int] | None, possible: tuple[float, float], where: str
) -> tuple[float, ...]:
    """A value for each token, or none at all."""
    if cell is None or cell == []:
        return ()
    if token_ids is None or not isinstance(cell, list) or len(cell) != len(token_ids):
        raise UserError(f"{where}: {column!r} must be a list with a value for each of the token ids, which it needs")
    try:
        values = tuple(map(float, cell))
    except (TypeError, ValueError):
        values = (math.nan,)
    if not all(math.isfinite(value) and possible[0] <= value <= possible[1] for value in values):
        raise UserError(f"{where}: {column!r} holds a value that cannot be (no number, or on the wrong side of 0)")
    return values
