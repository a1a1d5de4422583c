"""`hneuro calibrate`: a detector whose probability and promises hold on labelled answers of another domain."""

from __future__ import annotations

from pathlib import Path

from hneuro.detector import Detector
from hneuro.records import UserError
from hneuro.report.wording import with_interval
from hneuro.serve.calibrate import calibrate as calibrated


def calibrate(run_dir: Path, labels: Path, out: Path | None) -> int:
    """Says how right the probability was and is, and writes the detector to `out`, which `hneuro serve` takes."""
    if out is not None and out.exists():
        raise UserError(f"{out} is there already: name a new folder")
    found = calibrated(Detector.load(run_dir), labels)
    print(f"{found.right} right and {found.wrong} wrong answers, and {found.unread} that the detector cannot read")
    print("\n| probability | ECE | Brier |\n|---|---|---|")
    for name, quality in (("of the run", found.before), ("calibrated, on answers it has not seen", found.after)):
        if quality is not None:
            print(f"| {name} | {' | '.join(with_interval(row) for row in quality)} |")
    if out is not None:
        print(f"\nhneuro serve {found.detector.save(out)}")
    return 0
