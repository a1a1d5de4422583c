"""The command line: `hneuro run [overrides]` and `hneuro report RUN_DIR...`.

Exit codes: 0 done, 1 a fault of ours (with its traceback), 2 something the user can put right (in one line),
130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from hneuro import __version__
from hneuro.commands.run import complete, run
from hneuro.records import UserError

ABOUT = """Finds the hallucination-associated neurons of a language model (H-Neurons, arXiv:2512.01797) and tests them.

  hneuro run                              the default experiment, on the embedded model organism
  hneuro run model=llama31_8b dataset=file dataset.identification.path=questions.jsonl
  hneuro run -m labeling=three_vs_one,one_vs_one seed=0,1,2
  hneuro run --help                       all groups and their choices
  hneuro run --cfg job                    the composed config, without running it
  hneuro run -m ... --dry-run             what that would compute, and what is there already
  hneuro status outputs/sweeps/...        what is done, running, failed and missing
  hneuro rerun outputs/...                computes a finished run anew, and says what differs now
  hneuro configs                          every choice of every group, and where it comes from
  hneuro report outputs/...               writes the report of finished runs again
"""


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        if any(word in ("-sc", "--shell-completion") for word in words):
            return complete(words)
        if words[:1] == ["run"]:
            return run(words[1:])
        return _others(words)
    except UserError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it was", file=sys.stderr)
        return 130


def _others(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="hneuro", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("run", help="run the method; takes Hydra overrides", add_help=False)
    report = commands.add_parser("report", help="write the reports of finished runs again, and print their headlines")
    report.add_argument("run_dir", nargs="+", type=Path, help="a folder that `hneuro run` has finished")
    status = commands.add_parser("status", help="what is done, running, failed and missing of a sweep or of all runs")
    status.add_argument("folder", nargs="+", type=Path, help="the folder of a sweep, or outputs/")
    configs = commands.add_parser("configs", help="every choice of every group, and where it comes from")
    configs.add_argument(
        "--config-dir", action="append", default=[], help="a folder of configs, or pkg://package.folder"
    )
    configs.add_argument("--check", type=Path, metavar="DIR", help="compose and build all choices of a folder")
    rerun = commands.add_parser(
        "rerun", help="computes a finished run anew and says what differs: code, machine, results"
    )
    rerun.add_argument("run_dir", type=Path, help="a folder that `hneuro run` has finished")
    options = parser.parse_args(words)
    if options.command == "rerun":
        from hneuro.commands.rerun import rerun as again

        return again(options.run_dir)
    if options.command == "configs":
        from hneuro.commands.configs import configs as tell

        return tell(options.config_dir, options.check)
    if options.command == "status":
        from hneuro.commands.status import status as show

        return show(options.folder)
    from hneuro.runs import rewrite_report

    for folder in options.run_dir:
        print(rewrite_report(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
