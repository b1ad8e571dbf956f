"""What a folder of weights is: its digest, and the manifest that binds an adapter to its base.

An adapter fits silently on any base of the same shape, and answers nonsense there. So each of ours
carries a manifest with the digest of the weights and of the chat template that it was trained on,
and is refused on others. Digests are read from safetensors files, without loading a model.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from genai.config import text_hash
from genai.errors import ModelError

MANIFEST = "adapter.json"
_BLOCK = 1 << 22


def weights_digest(folder: Path) -> str:
    """Give the SHA-256 over every tensor of a folder: name, type, shape and bytes, by name.

    Neither how the tensors are spread over files nor other metadata matters.

    Raises:
        ModelError: there are no safetensors in it, or one is cut short.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"{folder}: holds no *.safetensors; name the folder of a model or an adapter",
            "unknown_model",
        )
    stamps = tuple((str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in files)
    return _digest(stamps)


@lru_cache(maxsize=64)
def _digest(stamps: tuple[tuple[str, int, int], ...]) -> str:
    tensors = {
        name: (path, *entry)
        for path, size, _ in stamps
        for name, entry in _header(Path(path), size).items()
    }
    whole = hashlib.sha256()
    for name in sorted(tensors):
        path, kind, shape, start, end = tensors[name]
        whole.update(f"{name} {kind} {shape}\n".encode())
        with open(path, "rb") as file:
            file.seek(start)
            left = end - start
            while left:
                block = file.read(min(left, _BLOCK))
                left -= len(block)
                whole.update(block)
    return whole.hexdigest()


def _header(path: Path, size: int) -> dict[str, tuple[str, list[int], int, int]]:
    """Give name -> (type, shape, first byte, end), having checked that the file is whole."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > size:
                raise ValueError("its header is longer than the file")
            entries = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        base = 8 + length
        found = {
            name: (each["dtype"], each["shape"], *(base + at for at in each["data_offsets"]))
            for name, each in entries.items()
        }
        if max((each[3] for each in found.values()), default=0) > size:
            raise ValueError("tensors are missing at its end")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: is no whole safetensors file ({error}); restore it from a checkpoint",
            "unknown_model",
        ) from error
    return found


def template_digest(folder: Path) -> str:
    """Give the digest of the chat template that a model is asked by; "" where it has none."""
    if is_adapter(folder):
        return read_manifest(folder)["template"]
    own, inside = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if own.is_file():
        return text_hash(own.read_text(encoding="utf-8"))
    given = json.loads(inside.read_text(encoding="utf-8")) if inside.is_file() else {}
    template = default_template(given.get("chat_template"))
    return text_hash(template) if template else ""


def default_template(given: Any) -> str:
    """Give the chat template by which a model is asked; a tokenizer may hold others, by name."""
    if isinstance(given, list):  # as it stands in tokenizer_config.json
        given = {each["name"]: each["template"] for each in given}
    return str((given.get("default") if isinstance(given, dict) else given) or "")


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter rather than a whole model."""
    return (folder / "adapter_config.json").is_file()


def write_manifest(folder: Path, base: str, base_folder: Path, template: str) -> None:
    """Bind an adapter to the weights and the template it was trained on.

    A base that is a folder is kept relative to the adapter, so that both can be moved together.
    """
    own = Path(base).exists()
    held = {
        "base": Path(os.path.relpath(base_folder, folder)).as_posix() if own else base,
        "base_weights": weights_digest(base_folder),
        "template": text_hash(template),
        "weights": weights_digest(folder),
    }
    (folder / MANIFEST).write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, str]:
    """Read what an adapter is bound to; `base` is a hub id, or a folder as it lies now.

    Raises:
        ModelError: there is no manifest, it is damaged, or the adapter's weights changed since.
    """
    path = folder / MANIFEST
    try:
        held: Any = json.loads(path.read_text(encoding="utf-8"))
        found = {key: str(held[key]) for key in ("base", "base_weights", "template", "weights")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: cannot be read ({type(error).__name__}), so nobody knows which base the"
            " adapter belongs to; train it with `genai finetune run`",
            "unknown_model",
        ) from error
    near = folder / found["base"]
    if near.exists():
        found["base"] = str(near.resolve())
    if weights_digest(folder) != found["weights"]:
        raise ModelError(
            f"{folder}: the weights are not those of its {MANIFEST}; restore them, or train again",
            "unknown_model",
        )
    return found


def read_base(folder: Path) -> str:
    """Give the base of an adapter as its manifest holds it: a hub id, or the way there from it."""
    read_manifest(folder)  # says what is wrong with it
    return str(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["base"])


def check_base(folder: Path, held: dict[str, str], base: Path, templates: Iterable[str]) -> None:
    """Refuse an adapter on other weights or another template than it was trained on.

    Raises:
        ModelError: names what differs.
    """
    if weights_digest(base) != held["base_weights"]:
        raise ModelError(
            f"{folder}: was trained on other weights than {base} holds; name the base that its"
            f" {MANIFEST} was made with, or train again",
            "unknown_model",
        )
    for template in templates:
        if text_hash(template) != held["template"]:
            raise ModelError(
                f"{folder}: was trained with another chat template than {base} has now; restore"
                " chat_template.jinja, or train again",
                "unknown_model",
            )
