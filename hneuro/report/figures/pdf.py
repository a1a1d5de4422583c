"""A figure's PDF as the same bytes every time."""

from __future__ import annotations

import re
from itertools import pairwise

import vl_convert

REFERENCE = re.compile(rb"\b(\d+) 0 R\b")
NAMED = re.compile(rb"(?:^ *+/\w++ \d+ 0 R\n)+", re.MULTILINE)  # entries of a dictionary, which may have any order


def pdf_of(svg: str) -> bytes:
    """With its fonts embedded, and without a date. vl-convert writes fonts in any order: here all have the same one."""
    made = vl_convert.svg_to_pdf(svg)
    table = int(made.rsplit(b"startxref", 1)[1].split()[0])
    places = sorted(map(int, re.findall(rb"(\d{10}) 00000 n", made[table:])))
    trailer = made[table:].partition(b"trailer")[2].partition(b"startxref")[0]
    objects = dict(_object(made[start:end]) for start, end in pairwise([*places, table]))
    order = _reached(objects, REFERENCE.findall(trailer))
    written, at = made[: places[0]], list[int]()
    for number, new in order.items():
        at.append(len(written))
        head, content = objects[number]
        written += new + b" 0 obj" + _renumbered(head, order) + content
    entries = b"".join(b"%010d 00000 n \n" % place for place in at)
    start = b"xref\n0 %d\n0000000000 65535 f \n" % (len(at) + 1) + entries
    return written + start + b"trailer" + _renumbered(trailer, order) + b"startxref\n%d\n%%%%EOF" % len(written)


def _object(text: bytes) -> tuple[bytes, tuple[bytes, bytes]]:
    """Its number, its dictionary and, from there on, its stream."""
    number, body = text.split(b" 0 obj", 1)
    head, begins, content = body.partition(b"stream")
    return number, (NAMED.sub(lambda found: b"".join(sorted(found[0].splitlines(True))), head), begins + content)


def _reached(objects: dict[bytes, tuple[bytes, bytes]], waiting: list[bytes]) -> dict[bytes, bytes]:
    """Old number -> new one, as the objects come up from the trailer on."""
    order = dict[bytes, bytes]()
    for number in waiting:  # which grows
        if number not in order:
            order[number] = b"%d" % (len(order) + 1)
            waiting += REFERENCE.findall(objects[number][0])
    return order


def _renumbered(text: bytes, order: dict[bytes, bytes]) -> bytes:
    return REFERENCE.sub(lambda found: order[found[1]] + b" 0 R", text)
