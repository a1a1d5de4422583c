"""What the judges say, and how far several of them agree."""

from __future__ import annotations

from textwrap import shorten

from hneuro.report import wording as say
from hneuro.report.tables.table import Record, Table
from hneuro.result_records import Results

LONGEST = 160  # characters of a text that are shown
VERDICTS = ("correct", "wrong", "refused", "unjudged")  # the order of `Agreement.confusion`


def frequent_table(results: Results) -> Table:
    """Made to be read by somebody who would notice a right answer among the wrong, or a refusal that is none."""
    return Table(
        name="frequent_texts",
        caption="What was said most often of all that was not judged correct, over all samples.",
        columns=("verdict", "text", "count"),
        numbers=tuple({"verdict": f.verdict.value, "text": f.text, "count": f.count} for f in results.frequent),
        heads=("judged", "text", "times"),
        shown=tuple(
            (f.verdict.value, shorten(f.text, LONGEST, placeholder=" ...") or "(empty)", str(f.count))
            for f in results.frequent
        ),
    )


def judges_table(results: Results) -> Table:
    """Raw agreement with its Wilson interval, and Cohen's kappa."""
    return Table(
        name="judges",
        caption="Agreement of the judges. Equal responses to a question count once; a response of which one of the two "
        "could not say anything is left out and counted as unsaid.",
        columns=("first", "second", "agreement", "agreement_low", "agreement_high", "n", "kappa", "unsaid"),
        numbers=tuple(
            {
                "first": a.first, "second": a.second, "agreement": a.agree.value, "agreement_low": a.agree.low,
                "agreement_high": a.agree.high, "n": a.agree.n, "kappa": a.kappa, "unsaid": a.unsaid,
            }
            for a in results.agreements
        ),
        heads=("judge", "other judge", "agreement", "n", "kappa", "unsaid"),
        shown=tuple(
            (
                a.first, a.second,
                f"{say.percent(a.agree.value)} [{100 * a.agree.low:.1f}, {100 * a.agree.high:.1f}]",
                str(a.agree.n), say.number(a.kappa, 2), str(a.unsaid),
            )
            for a in results.agreements
        ),
    )  # fmt: skip


def confusion_table(results: Results) -> Table:
    """What the second judge says of what the first calls correct, wrong, ..."""
    numbers: list[Record] = []
    for a in results.agreements:
        for said, counts in zip(VERDICTS, a.confusion, strict=True):
            if any(counts):
                named = dict(zip(VERDICTS, counts, strict=True))
                numbers.append({"first": a.first, "second": a.second, "first_says": said, **named})
    return Table(
        name="judges_confusion",
        caption="What the judges say of the same responses: a row a verdict of the first, a column one of the other.",
        columns=("first", "second", "first_says", *VERDICTS),
        numbers=tuple(numbers),
        heads=("judge", "says", "other judge", *VERDICTS),
        shown=tuple(
            (str(r["first"]), str(r["first_says"]), str(r["second"]), *(str(r[v]) for v in VERDICTS)) for r in numbers
        ),
    )
