"""How each harness is started on the same cases, as its users would, at its best fair settings.

Telemetry and update checks are off, logs are as shipped. Cold runs have no cache; a warm one has
the harness's own. `proof` must match what a run prints, or it did not get every case right.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
HOMES = HERE.parent.parent / ".venv-peers"
# our plugin without the other ones of this environment, which cost a second of their own
ALONE = ("-p", "genai.pytest_plugin")


@dataclass(frozen=True)
class Job:
    """One run: the folder it works in, with its cases, the server, and cases in flight."""

    folder: Path
    url: str
    width: int
    warm: bool = False


Command = tuple[list[str], Mapping[str, str]]


@dataclass(frozen=True)
class Harness:
    """A harness: the environment it lives in, and its command line for a job."""

    home: str
    command: Callable[[Job], Command]
    proof: str = r"^share 1\.0$"
    caches: bool = False
    ours: bool = field(default=False, kw_only=True)

    @property
    def python(self) -> Path:
        """The interpreter it runs in; promptfoo's is Node."""
        return HOMES / self.home / "bin" / "python"


def write_cases(folder: Path, count: int) -> None:
    """Write the cases as JSONL, and as CSV where promptfoo wants its own column."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cases.jsonl").open("w") as lines, (folder / "cases.csv").open("w") as table:
        table.write("input,__expected\n")
        for number in range(count):
            given, expected = f"This is case {number}. Say its answer.", f"answer {number}"
            case = {"id": f"c{number}", "input": given, "expected": expected}
            lines.write(json.dumps(case) + "\n")
            table.write(f"{given},{expected}\n")


def _program(peer: str, *more: str) -> Callable[[Job], Command]:
    def command(job: Job) -> Command:
        line = [str(HOMES / peer / "bin" / "python"), str(HERE / f"evals_{peer}.py")]
        return [*line, "cases.jsonl", job.url, str(job.width), *more], {}

    return command


def _cached(peer: str, *more: str) -> Callable[[Job], Command]:
    def command(job: Job) -> Command:
        line, env = _program(peer, *more)(job)
        return line + (["cache"] if job.warm else []), env

    return command


def _lm_eval(job: Job) -> Command:
    url = f"{job.url}/chat/completions"
    model = f"model=bench,base_url={url},num_concurrent={job.width},tokenizer_backend=none"
    line = [
        str(HOMES / "lm_eval" / "bin" / "lm_eval"), "run", "--model", "local-chat-completions",
        "--model_args", model, "--tasks", "bench", "--include_path", str(HERE),
        "--apply_chat_template", *(["--use_cache", "cache"] if job.warm else []),
    ]  # fmt: skip
    return line, {"HF_HOME": str(job.folder.parent / "hf"), "HF_HUB_OFFLINE": "1"}


def _promptfoo(job: Job) -> Command:
    modules = HOMES / "promptfoo" / "node_modules"
    line = [
        str(modules / "node" / "bin" / "node"),
        str(modules / "promptfoo" / "dist" / "src" / "entrypoint.js"), "eval",
        "-c", str(HERE / "evals_promptfoo.yaml"), "-t", "cases.csv", "-j", str(job.width),
        "--no-table", "--no-progress-bar", *([] if job.warm else ["--no-cache"]),
    ]  # fmt: skip
    env = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"}
    return line, {**env, "PROMPTFOO_CONFIG_DIR": str(job.folder / "state"),
                  "OPENAI_BASE_URL": job.url}  # fmt: skip


def ours(command: str) -> Callable[[Job], Command]:
    """Run the suite by `eval` or by `pytest`, in a project folder made for it."""

    def start(job: Job) -> Command:
        for name in ("configs", "evals"):
            (job.folder / name).mkdir(exist_ok=True)
        model = f"openai/bench@{job.url}"
        config = {"version": 1, "chain": {"model": model},
                  "models": {model: {"max_connections": job.width}}}  # fmt: skip
        suite = {"suite": "bench", "task": "model", "concurrency": job.width,
                 "files": ["../cases.jsonl"], "metrics": {"exact": {"min": 0.9}}}  # fmt: skip
        # JSON is YAML; one key a line, since the plugin looks for a line that starts `suite:`
        for path, content in (("configs/genai.yaml", config), ("evals/bench.yaml", suite)):
            text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in content.items())
            (job.folder / path).write_text(text, encoding="utf-8")
        lines = {
            "eval": [str(Path(sys.executable).with_name("genai")), "eval", "bench"],
            "pytest": [sys.executable, "-m", "pytest", "-q", *ALONE, "evals/"],
        }
        env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return lines[command], env | ({"GENAI_REPLAY_MODE": "record"} if job.warm else {})

    return start


HARNESSES = {
    "genai eval": Harness("", ours("eval"), r"^exact +1 ", caches=True, ours=True),
    "pytest evals/": Harness(
        "", ours("pytest"), r"(?s)^exact +1 .*\b1 passed", caches=True, ours=True
    ),
    "pydantic_evals": Harness("pydantic_evals", _program("pydantic_evals")),
    "pydantic_evals on aiohttp": Harness("pydantic_evals", _program("pydantic_evals", "aiohttp")),
    "deepeval": Harness("deepeval", _program("deepeval")),
    "deepeval on aiohttp": Harness("deepeval", _program("deepeval", "aiohttp")),
    "ragas": Harness("ragas", _cached("ragas"), caches=True),
    "ragas on aiohttp": Harness("ragas", _cached("ragas", "aiohttp"), caches=True),
    "lm-eval": Harness("lm_eval", _lm_eval, r"exact_match\|↑ +\| +1\|", caches=True),
    "promptfoo": Harness("promptfoo", _promptfoo, r"passed \(100%\)", caches=True),
    "inspect_ai": Harness("inspect_ai", _cached("inspect_ai"), caches=True),
}
