"""A run as a folder that others can use: merged, tested against the adapter, with its papers.

A merge is reloaded from disk and must say what the adapter said, number by number and word by word;
an export holds no pickle and carries its lock, its gate record, its card and its checksums.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai import extras
from genai.config import text_hash, validate
from genai.errors import InputError
from genai.evals import load_suite
from genai.finetune.card import write_card
from genai.finetune.gate import GATE, copy_model, read_gate, refusal
from genai.finetune.launch import write_serving
from genai.finetune.lock import LOCK, file_digest, read_lock
from genai.finetune.recipe import Recipe, located
from genai.models.engine import Engine, Job, ends_of, on_base
from genai.models.local import encode, find_folder, load_model
from genai.models.weights import is_adapter, read_manifest, weights_digest
from genai.project import Project

SUMS = "SHA256SUMS"
_CLOSE = 1e-3  # largest difference of a logit in fp32
_UNJUDGED = (
    "`model.gguf` was not judged: it is another form of the weights, and a wrong template or"
    " architecture in it is word salad. Serve it with llama.cpp and run the suite on it."
)
_ROOM = 2.5  # of the weights in fp32: two models, and what decoding takes
_LOGITS, _TEXTS = 16, 100  # prompts compared by number, and by what is said


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `difference` is the largest of a logit; None where nothing was merged."""

    folder: Path
    weights: str
    difference: float | None
    same: int
    asked: int
    gguf: Path | None
    words: tuple[str, ...]


def export_run(
    run: Path, project: Project, target: Path, *, merge: bool = True, force: bool = False,
    gguf: Path | None = None,
) -> Exported:  # fmt: skip
    """Write a run's model with its papers into `target`, merged into its base where it can be.

    `gguf` is llama.cpp's `convert_hf_to_gguf.py`. `force` exports what the gate refuses; the card
    says so.

    Raises:
        InputError: the gate refuses, the target is not empty, or the merged model says other things
            than the adapter.
    """
    held = read_lock(run)
    recipe = validate(Recipe, held["recipe"], f"{run.name}/{LOCK}")
    if (why := refusal(run)) and not force:
        raise InputError(f"{run.name}: is not exported: {why}")
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target}: is not empty; name a new folder")
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    difference, same, asked = None, 0, 0
    source = run / "model"
    if merge and is_adapter(source):
        _merge(source, draft)
        prompts = _prompts(recipe, project)
        difference, same, asked = check_merge(source, draft, prompts, recipe.evals.max_tokens)
    else:
        copy_model(source, draft)
    for name in (LOCK, GATE):
        shutil.copy2(run / name, draft / name)
    write_card(
        draft / "README.md", held, recipe, read_gate(run), project=project, folder=target.name,
        refusal=why,
    )  # fmt: skip
    words = list(write_serving(draft, recipe))
    made = None
    if gguf is not None:
        made = target / _to_gguf(gguf, draft, recipe.name).name
        words.append("the GGUF file is another form of the weights: judge it with the suite too")
        with (draft / "README.md").open("a", encoding="utf-8") as card:
            card.write(f"\n{_UNJUDGED}\n")
    write_sums(draft)
    if target.exists():
        target.rmdir()
    draft.replace(target)
    weights = weights_digest(target)
    return Exported(target, weights, difference, same, asked, made, tuple(words))


def _merge(adapter: Path, target: Path) -> None:
    base = find_folder(read_manifest(adapter)["base"])
    model, tokenizer = load_model(base, device="cpu", dtype="float32")  # a GPU may hold half
    merged = on_base(model, adapter).merge_and_unload(safe_merge=True)
    merged.save_pretrained(target)
    tokenizer.save_pretrained(target)


def check_merge(
    adapter: Path, merged: Path, prompts: Sequence[str], most: int
) -> tuple[float, int, int]:
    """Compare a merged folder with base and adapter: logits on 16 prompts, answers on 100.

    Gives the largest difference of a logit, and how many of how many answers are the same. Both
    stay in fp32, since in fewer bits a sound merge differs too; so they are compared on a GPU only
    where its free memory holds both.

    Raises:
        InputError: something differs; names it.
    """
    base = find_folder(read_manifest(adapter)["base"])
    device = _device(merged)
    model, tokenizer = load_model(base, device=device, dtype="float32")
    before = on_base(model, adapter)
    after, own = load_model(merged, device=device)
    _check_tokenizers(merged, tokenizer, own, after, prompts)
    tokens = [encode(own, [{"role": "user", "content": each}]) for each in prompts[:_TEXTS]]
    difference = max(_difference(before, after, each) for each in tokens[:_LOGITS])
    if not difference < _CLOSE:
        raise InputError(
            f"{merged.name}: a logit of the merged model is {difference:.3g} off the adapter's,"
            f" {_CLOSE:g} at the most; merge again from whole weights"
        )
    texts = [answers(each, own, tokens, most) for each in (before, after)]
    same = sum(one == two for one, two in zip(*texts, strict=True))
    if same < len(tokens):
        raise InputError(
            f"{merged.name}: the merged model gives {len(tokens) - same} of {len(tokens)} answers"
            " that the adapter does not; merge again from whole weights"
        )
    return difference, same, len(tokens)


def _device(merged: Path) -> str:
    """Choose where two models of this size and a batch of answers have room."""
    cuda = extras.load("torch", "finetune").cuda
    size = sum(path.stat().st_size for path in merged.glob("*.safetensors"))
    return "cuda" if cuda.is_available() and cuda.mem_get_info()[0] > _ROOM * size else "cpu"


def _check_tokenizers(
    merged: Path, tokenizer: Any, own: Any, model: Any, prompts: Sequence[str]
) -> None:
    if text_hash(own.chat_template or "") != text_hash(tokenizer.chat_template or ""):
        raise InputError(f"{merged.name}: chat_template.jinja is not that of the base;"
                         " export the run again")  # fmt: skip
    if own.eos_token_id not in ends_of(model.generation_config, own):
        raise InputError(f"{merged.name}: generation_config.json does not end at the tokenizer's"
                         f" eos token ({own.eos_token_id}); mend that of the base")  # fmt: skip
    for each in prompts[:_LOGITS]:
        if own(each)["input_ids"] != tokenizer(each)["input_ids"]:
            raise InputError(f"{merged.name}: its tokenizer reads {each!r} in another way; export"
                             " the run again")  # fmt: skip


def _difference(before: Any, after: Any, tokens: Sequence[int]) -> float:
    torch = extras.load("torch", "finetune")
    with torch.no_grad():
        ids = torch.tensor([list(tokens)], device=after.device)
        found = (before(input_ids=ids).logits - after(input_ids=ids).logits).abs().max()
    return float(found)


def answers(model: Any, tokenizer: Any, prompts: Sequence[list[int]], most: int) -> list[str]:
    """Give the greedy answers of a model in memory."""
    found = [""] * len(prompts)

    def put(at: int, text: str) -> None:
        found[at] += text

    jobs = [
        Job(prompt, lambda text, _, at=at: put(at, text), most=most)  # type: ignore[misc]
        for at, prompt in enumerate(prompts)
    ]
    Engine(model, tokenizer).decode(jobs)
    if error := next((job.error for job in jobs if job.error), None):
        raise error
    return found


def _prompts(recipe: Recipe, project: Project) -> list[str]:
    cases = load_suite(located(project, recipe.evals.dev)).cases
    return [case.question for case in cases[:_TEXTS]]


def _to_gguf(converter: Path, folder: Path, name: str) -> Path:
    if not converter.is_file():
        raise InputError(
            f"{converter}: is not there; it is convert_hf_to_gguf.py in a checkout of llama.cpp"
        )
    out = folder / "model.gguf"
    command = [sys.executable, str(converter), str(folder), "--outfile", str(out)]
    command += ["--model-name", name]  # else it takes that of the folder, which is a draft's
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not out.is_file():
        said = (done.stderr or done.stdout).strip().splitlines()
        raise InputError(f"{converter.name}: failed: {said[-1] if said else 'it said nothing'}")
    return out


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over every file of an export, after a look for pickles."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    for path in files:
        if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt"):
            raise InputError(f"{path.name}: may hold a pickle, which runs code when it is loaded;"
                             " save it as safetensors")  # fmt: skip
    lines = [f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
