"""The command line: a verb a file, each loaded only when it is the one asked for."""

import argparse
import importlib
import io
import math
import os
import sys
from collections.abc import Sequence
from datetime import date

from genai.errors import GenaiError, InputError

VERBS = {
    "init": "copy the starter project into a folder",
    "check": "find mistakes in every settings file, prompt and suite",
    "ask": "ask one question on the command line",
    "index": "show what the index holds; its words sync a folder, mend and roll back",
    "prompt": "list the prompts, and which of them were evaluated",
    "eval": "run a suite and judge it against its baseline",
    "exp": "list experiments and hold two of them against each other",
    "finetune": "train a model by a recipe, and keep it where the evals say it is better",
    "guard": "try the guards on a text, compare two policies, check the log of verdicts",
    "calls": "show the ledger's newest calls, or a summary",
    "alerts": "judge the alert rules on the ledger and tell who should hear of it",
    "report": "monitoring and the business case as pages",
    "loop": "what production shows: review it, make cases and pairs of it, see what became of it",
    "usecase": "score ideas before they are built, and by the ledger after",
    "export": "write calls as Parquet or a month as a FOCUS cost file, or delete what is old",
    "models": "list the forms of model names, and prices",
    "compare": "compare models by your filters and measurements, and write the decision",
    "app": "start the chat in the browser",
    "serve": "answer OpenAI's chat protocol with the chain, models and adapters",
    "upgrade": "migrate the ledger to this version; say whether settings and index fit it",
}

# a verb's further words, each a file of its own
ACTIONS = {
    "exp": {
        "list": "runs, grids and trainings, newest first",
        "diff": "what differs between two runs, and what came of it, in pairs",
        "push": "mirror prompts in MLflow and deliver what waits for it",
        "ui": "MLflow's pages over the project's own store",
    },
    "finetune": {
        "data": "make training rows from the demo, feedback or failed cases, and review them",
        "check": "say what is wrong with a recipe's data, in seconds",
        "plan": "say what a run will take, and hold it to its budget",
        "run": "train, and go on where an interrupted run stopped",
        "compare": "have the evals judge a run, and serve it where it is no worse",
        "verify": "train the first steps again and compare the weights",
        "export": "write a model with its papers, merged and tested",
    },
    "guard": {
        "check": "what each guard of a place says of a text, and what would leave",
        "policy": "which cases of a suite flip between two policy files (policy diff OLD NEW)",
        "audit": "whether the log of verdicts is as it was written (audit verify)",
    },
    "index": {
        "sync": "make the index hold exactly a folder's documents",
        "show": "list documents, generations, and passages held back",
        "verify": "compare manifest, full text, vectors and graph; mend them where asked",
        "rollback": "let the generation before answer again",
        "calibrate": "find the confidence below which a question is refused",
    },
    "prompt": {
        "diff": "show what a change of a prompt means, and what it costs",
        "lint": "find what is likely to go wrong with prompts",
        "lock": "write down that prompts passed an eval as they are",
        "label": "point a label at a locked version, or back at an older one",
    },
    "usecase": {
        "score": "rank use cases by their chance of a gain, and name what stops them",
    },
    "loop": {
        "status": "how many items stand at each stage, for how long, and what fixed them",
        "review": "show the queue, or decide on an item",
        "promote": "make reviewed items cases of the suite, or training pairs",
        "score": "judge a sample of what was answered, within the day's budget",
        "canary": "ask known questions again, where they are due",
    },
    "report": {
        "business": "does it pay, with its range, from the ledger and stated assumptions",
        "drift": "what has moved since a pinned reference period, and what changed with it",
        "incidents": "what went wrong day by day, its cause and what it cost",
        "invoices": "a provider's bill beside the ledger, and what explains the difference",
        "whatif": "what recorded traffic would have cost another way, and with what quality",
        "monitor": "volume, money, times and outcomes, by day, model, prompt, index and feature",
    },
    "eval": {
        "accept": "take a run as the baseline, with its reason",
        "compare": "compare two runs, or a run with a baseline",
        "runs": "list the runs of a suite",
        "plan": "say how many cases, dollars and minutes a question needs",
        "make": "draft cases from documents or feedback, review them, look for leaks",
        "label": "label answers by hand, the step that is next",
        "calibrate": "hold a judge to people's labels: may it gate?",
        "ab": "judge two versions by what their users did",
        "design": "write down an experiment before its run, or hold a run to it",
        "diff": "show which cases of a dataset came, went and changed",
        "vary": "make and freeze variants of cases, or review them",
        "grid": "compare models, prompts and retrievers on the same cases",
        "behaviour": "say how often variants break their relation, by group too",
        "redteam": "attack the guards: attack success and over-refusal, before and after a change",
    },
}

_MOST = 1_000_000


def free_port(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is started on it."""
    import socket

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--port {port}: cannot be used ({error}); name another, such as `--port 8600`"
            ) from error


def day(text: str) -> date:
    """Read a day as an argument gives it."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if found.year < 1970:
        raise argparse.ArgumentTypeError(f"{text!r} is no day since 1970, such as 2026-11-30")
    return found


def count(text: str) -> int:
    """Read how many there may be, 1 or more, as an argument gives it."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {_MOST:,}")
    return int(text)


def amount(text: str) -> float:
    """Read hours, days or dollars, 0 or more, as an argument gives them."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {_MOST:,}")
    return found


class _Parser(argparse.ArgumentParser):
    """An argument parser whose usage errors end with 64, as all bad input does."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(64, f"genai: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; give the exit code of the house's table."""
    try:
        return _main(arguments)
    finally:
        _write_rest()


def _write_rest() -> None:
    """Write what is left of the output; where nobody reads it any more it is dropped."""
    try:
        print(end="", flush=True)
    except OSError as error:
        # Python would try again at its end, and end with a code of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            said = f"genai: the output cannot be written ({error.strerror}); free some space"
            print(said, file=sys.stderr)
            sys.exit(InputError.code)


def _main(arguments: Sequence[str] | None) -> int:
    # a plug-in would read every value that is validated, and the search for one takes time
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a console cannot show stops no verb
        sys.stdout.reconfigure(errors="replace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:2] == ["models", "compare"]:  # the verb reads well in both places
        given = given[1:]
    if len(given) > 1 and given[1] in ACTIONS.get(given[0], ()):
        return _run(_action(given))
    parser = _Parser(prog="genai", description="LLM features with numbers one can trust.")
    parser.add_argument("--version", action="store_true", help="print the version and end")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    chosen = next((word for word in given if not word.startswith("-")), None)
    for verb, summary in VERBS.items():
        sub = verbs.add_parser(
            verb, help=summary, description=summary, epilog=_words(verb),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        if verb == chosen:
            module = importlib.import_module(f"genai.cli.{verb}")
            module.add_arguments(sub)
            sub.set_defaults(handle=module.run)
    options = parser.parse_args(given)
    if options.version:
        from genai import __version__

        print(__version__)
        return 0
    if options.verb is None:
        parser.print_help()
        return 0
    return _run(options)


def _words(verb: str) -> str:
    """List the further words of a verb as its help shows them; '' where it has none."""
    lines = [f"  {word:10} {summary}" for word, summary in ACTIONS.get(verb, {}).items()]
    head = f"further words, each with a --help of its own, as in `genai {verb} WORD --help`:"
    return "\n".join([head, *lines]) if lines else ""


def _action(given: Sequence[str]) -> argparse.Namespace:
    verb, word = given[:2]
    parser = _Parser(prog=f"genai {verb} {word}", description=ACTIONS[verb][word])
    module = importlib.import_module(f"genai.cli.{verb}.{word}")
    module.add_arguments(parser)
    parser.set_defaults(handle=module.run)
    return parser.parse_args(given[2:])


def _run(options: argparse.Namespace) -> int:
    try:
        code: int = options.handle(options)
    except GenaiError as error:
        print(f"genai: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("genai: interrupted; what was done is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except Exception:  # 1 would read as a regression
        import traceback

        traceback.print_exc()
        print("genai: a fault of genai itself; please report it with these lines", file=sys.stderr)
        return GenaiError.code
    return code
