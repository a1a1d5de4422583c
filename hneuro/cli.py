"""The command line: `hneuro run [overrides]`, `hneuro report FOLDER...` and `hneuro edit RUN_DIR --alpha A --out DIR`.

Exit codes: 0 done, 1 a fault of ours (with its traceback), 2 something the user can put right (in one line),
130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hneuro import __version__
from hneuro.commands.run import complete, run
from hneuro.records import UserError

ABOUT = """Finds the hallucination-associated neurons of a language model (H-Neurons, arXiv:2512.01797) and tests them.

  hneuro run                              the default experiment, on SmolLM2-135M
  hneuro run model=llama31_8b dataset=file dataset.identification.path=questions.jsonl
  hneuro run -m labeling=three_vs_one,one_vs_one seed=0,1,2
  hneuro run --help                       all groups and their choices
  hneuro run --cfg job                    the composed config, without running it
  hneuro run -m ... --dry-run             what that would compute, and what is there already
  hneuro status outputs/sweeps/...        what is done, running, failed and missing
  hneuro configs                          every choice of every group, and where it comes from
  hneuro report outputs/NAME/RUN          writes the report of a finished run again
  hneuro report outputs/NAME              tables and figures over all runs in it
  hneuro score outputs/NAME/RUN "Who wrote Hamlet?"   the answer and its risk
  hneuro watch outputs/NAME/RUN "Who wrote Hamlet?"   the same, token by token
  hneuro serve outputs/NAME/RUN           its model as an OpenAI-compatible server, with the risk of every token
  hneuro tune outputs/NAME/RUN            learns a gain for each of its neurons
  hneuro edit outputs/... --alpha 0.5 --out edited    an edited checkpoint
"""
COMMANDS = ("run", "score", "watch", "serve", "calibrate", "report", "tune", "edit", "status", "configs")


class Lines(logging.Handler):
    """A line for each record on what stderr is at that moment: the display of a run's progress takes its place."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    # What imports and configs leave behind stays: looking through it again and again is a tenth of the start.
    gc.set_threshold(10_000)
    logging.basicConfig(format="%(message)s", level=logging.WARNING, handlers=[Lines()])
    logging.getLogger("hneuro").setLevel(logging.INFO)
    try:
        for word in words:
            if not word.isascii() and word != word.encode(errors="replace").decode():
                raise UserError(f"{word!a} is not UTF-8 text, in which results are written: name it otherwise")
        if any(word in ("-sc", "--shell-completion") for word in words):
            return complete(words)
        if words[:1] == ["run"]:
            return run(words[1:])
        return _others(words)
    except UserError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again to resume", file=sys.stderr)
        return 130


def _others(words: Sequence[str]) -> int:
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        said = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"hneuro {words[0]}: there is no such command; {said}")
    options = vars(_parser().parse_args(words))
    return _called(options.pop("command"), options)


def _called(command: str, options: dict[str, Any]) -> int:
    """Imported when it is called: no command waits for what another one needs."""
    match command:
        case "score":
            from hneuro.commands.score import score

            return score(**options)
        case "watch":
            from hneuro.commands.score import watch

            return watch(**options)
        case "calibrate":
            from hneuro.commands.score import calibrate

            return calibrate(**options)
        case "serve":
            from hneuro.commands import serve

            return serve.serve(serve.Wanted(**options))
        case "tune":
            from hneuro.commands import tune

            print(tune.tune(tune.Wanted(**options)))
        case "edit":
            from hneuro.editing import command as editing

            print(editing.edit(editing.Wanted(**options)))
        case "report":
            from hneuro.summary import report_on

            print(report_on(**options))
        case "status":
            from hneuro.commands.status import status

            return status(**options)
        case "configs":
            from hneuro.commands.configs import configs

            return configs(**options)
    return 0


def _add_edits(commands: Any) -> None:
    """The neurons changed for good: tune, edit."""
    tune = commands.add_parser("tune", help="learn a gain for each neuron of a finished run, to lower wrong answers")
    tune.add_argument("run_dir", type=Path, help="a folder that `hneuro run` has finished")
    tune.add_argument(
        "--known", type=float, default=2.0, metavar="POINTS", help="of the known facts that may be lost (default: 2)"
    )
    tune.add_argument(
        "--perplexity", type=float, default=2.0, metavar="PERCENT", help="by which it may rise (default: 2)"
    )
    edit = commands.add_parser("edit", help="scale the neurons of a finished run in a checkpoint, and validate it")
    edit.add_argument("run_dir", nargs="?", type=Path, help="a folder that `hneuro run` has finished")
    edit.add_argument("--alpha", type=float, help="what the neurons are multiplied by: 0 silences them")
    edit.add_argument(
        "--out", type=Path, help="a new folder for the edited checkpoint; FILE.gguf, where the model is a GGUF file"
    )
    edit.add_argument(
        "--patch-only", action="store_true", help="write only a small file for model.patch=FILE, to --out"
    )
    edit.add_argument(
        "--neurons",
        default="h_neurons",
        metavar="SET",
        help="h_neurons, ranked, tuned (by hneuro tune), a patch, or a JSON of [layer, index]s",
    )
    edit.add_argument("--model", help="a folder, hub id or GGUF file to edit instead of the chat model of the run")
    edit.add_argument(
        "--no-validate",
        dest="validate",
        action="store_false",
        help="skip comparing the edited checkpoint with the original",
    )


def _add_live(commands: Any) -> None:
    """The detector at work: watch, serve, calibrate."""
    watch = commands.add_parser("watch", help="an answer in the terminal, its tokens coloured by risk as they come")
    watch.add_argument("run_dir", type=Path, help="a folder that `hneuro run` has finished")
    watch.add_argument("question")
    watch.add_argument("--max-tokens", type=int, default=48, help="how long the answer may be")
    serve = commands.add_parser("serve", help="an OpenAI-compatible server that says how risky each token is")
    serve.add_argument("run_dir", type=Path, help="a folder that `hneuro run` has finished")
    serve.add_argument("--host", default="127.0.0.1", help="any other than a local one needs a token")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--token-env", metavar="NAME", help="the environment variable that holds the token of clients")
    serve.add_argument(
        "--policy", default="flag", help="a name in conf/policy (flag, alarms, hold, abstain) or a yaml file"
    )
    serve.add_argument("--queue", type=Path, help="the file of held answers (default: RUN_DIR/review.sqlite)")
    serve.add_argument("--no-texts", action="store_true", help="keep scores of held answers, and not what was said")
    serve.add_argument("--days", type=float, default=30.0, help="how long a held answer is kept")
    serve.add_argument("--rows", type=int, default=16, help="answers that are generated at a time")
    serve.add_argument(
        "--alpha", type=float, default=1.0, help="scale the H-Neurons in every answer; scaled answers are not checked"
    )
    serve.add_argument("--engine", choices=["transformers", "vllm"], default="transformers", help="what generates")
    serve.add_argument(
        "--tensor-parallel", type=int, default=1, metavar="N", help="devices that vLLM spreads a model over"
    )
    serve.add_argument("--steering", action="store_true", help="let a request set its own alpha")
    calibrate = commands.add_parser("calibrate", help="the probability of a detector on another domain's answers")
    calibrate.add_argument("run_dir", type=Path, help="a folder that `hneuro run` has finished")
    calibrate.add_argument(
        "--labels", type=Path, required=True, help="rows with question, response and verdict, or a review queue"
    )
    calibrate.add_argument("--out", type=Path, help="a new folder for the calibrated detector")


def _parser() -> argparse.ArgumentParser:
    """Of all commands but `run`, whose words belong to Hydra."""
    parser = argparse.ArgumentParser(
        prog="hneuro", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("run", help="run the method; takes Hydra overrides", add_help=False)
    report = commands.add_parser("report", help="the report of one run again, or tables and figures over several")
    report.add_argument("folders", metavar="folder", nargs="+", type=Path, help="of a run, or with runs in it")
    report.add_argument("--out", type=Path, help="where the report over several runs goes (default: FOLDER/report)")
    report.add_argument(
        "--published", action="append", default=[], type=Path, metavar="CSV", help="figures to compare ours with"
    )
    report.add_argument("--wandb", metavar="PROJECT", help="log the report over several runs to it as well")
    score = commands.add_parser("score", help="the risk that an answer of a run's model is a hallucination")
    score.add_argument("run_dir", type=Path, help="a folder that `hneuro run` has finished")
    score.add_argument("question", nargs="?", help="which the model answers, unless --answer does")
    score.add_argument("--answer", help="an answer that was given elsewhere")
    score.add_argument(
        "--file", type=Path, help="rows with `question` and perhaps `answer` (csv, jsonl, json, parquet)"
    )
    _add_live(commands)
    _add_edits(commands)
    status = commands.add_parser("status", help="what is done, running, failed and missing of a sweep or of all runs")
    status.add_argument("folders", metavar="folder", nargs="+", type=Path, help="the folder of a sweep, or outputs/")
    configs = commands.add_parser("configs", help="every choice of every group, and where it comes from")
    configs.add_argument(
        "--config-dir", dest="sources", action="append", default=[], help="a folder of configs, or pkg://package.folder"
    )
    configs.add_argument(
        "--check", metavar="DIR", help="compose and build all choices of a folder, or of pkg://package.folder"
    )
    return parser
