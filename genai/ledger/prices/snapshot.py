"""Dated price snapshots: which rates were known when, each named by a hash of its content.

A snapshot is made from the price file inside an installed litellm, which is read, never imported.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from genai.errors import ConfigError, shown

_decode: Any = msgspec.json.Decoder(Any, float_hook=Decimal).decode
_compact = msgspec.json.Encoder(decimal_format="number").encode
FILE = "model_prices_and_context_window_backup.json"
_MODES = {"chat", "responses", "completion", "embedding", "rerank"}
# providers one signs a contract with; resellers are priced by their own file or by `prices.yaml`
_PROVIDERS = {
    "openai", "anthropic", "gemini", "mistral", "deepseek", "xai", "groq", "cohere", "cohere_chat",
    "dashscope", "azure", "bedrock", "bedrock_converse", "vertex_ai-language-models", "voyage",
    "perplexity", "together_ai", "fireworks_ai", "cerebras", "ai21", "moonshot", "zai",
}  # fmt: skip
_KEEP = (
    "_cost", "tiered_pricing", "off_peak_pricing", "_uplift_", "litellm_provider", "mode",
    "max_", "deprecation_date", "supports_vision", "supports_audio", "supports_function_calling",
    "supports_response_schema", "supports_reasoning", "supports_pdf_input", "supported_regions",
)  # fmt: skip
_DROP = ("per_second", "per_pixel", "per_page", "per_video", "per_character", "google_maps")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rates as they were known from `imported_at` on."""

    hash: str
    source: str
    imported_at: date
    models: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Change:
    """One model that a refresh added, removed or repriced; rates a million tokens."""

    model: str
    what: str
    old: tuple[Decimal | None, Decimal | None] = (None, None)
    new: tuple[Decimal | None, Decimal | None] = (None, None)


def digest(models: Any) -> str:
    """Hash canonical JSON; a Decimal is written as its text."""
    text = json.dumps(models, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path) -> Snapshot:
    """Read a snapshot and check its hash. Raises `ConfigError`."""
    name = shown(path, 3)  # configs/prices/FILE
    try:
        data: Any = _decode(path.read_bytes())
        found = Snapshot(
            data["sha256"], data["source"], date.fromisoformat(data["imported_at"]), data["models"]
        )
    except (OSError, ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{name}: is not a price snapshot ({type(error).__name__}); remove it, or make one"
            " with `genai models refresh`"
        ) from error
    if digest(found.models) != found.hash:
        raise ConfigError(
            f"{name}: was changed by hand, its hash differs; put prices of your own into"
            " configs/prices.yaml"
        )
    return found


def load_all(folder: Path) -> list[Snapshot]:
    """Read every snapshot of a folder, newest first. Raises `ConfigError`."""
    found = [load(path) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda each: (each.imported_at, _release(each.source)), reverse=True)


def _release(source: str) -> list[int]:
    """Give the numbers of the release a snapshot is from: two of one day differ in it alone."""
    found = re.search(r"\d+(\.\d+)*", source)
    return [int(each) for each in found[0].split(".")] if found else []


def refresh(folder: Path, today: date | None = None) -> tuple[Path, list[Change]]:
    """Write the installed litellm's prices as a new snapshot beside the older ones.

    Returns:
        The file, and what differs from the newest snapshot so far.

    Raises:
        ConfigError: litellm is not installed, or holds no price file.
    """
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "models refresh: litellm is not installed; run:"
            " pip install --upgrade 'genai-workbench[gateway]'"
        )
    source = Path(spec.origin).parent / FILE
    if not source.is_file():
        raise ConfigError(f"models refresh: {source.name} is not in the installed litellm")
    raw = source.read_bytes()
    version = importlib.metadata.version("litellm")
    listed: Any = _decode(raw)
    models = prune(listed)
    data = {
        "source": f"litellm {version}",
        "source_revision": hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest(),
        "imported_at": (today or datetime.now(UTC).date()).isoformat(),
        "sha256": digest(models),
    }
    earlier = load_all(folder)
    old = earlier[0].models if earlier else {}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"litellm-{version}.json"
    if not any(each.hash == data["sha256"] for each in earlier):
        lines = [f'"{k}": {json.dumps(v)},' for k, v in data.items()]
        rows = [f"{json.dumps(k)}: {_compact(v).decode()}" for k, v in models.items()]
        text = "{\n" + "\n".join(lines) + '\n"models": {\n' + ",\n".join(rows) + "\n}}\n"
        path.write_text(text, encoding="utf-8")
    return path, differences(old, models)


def prune(models: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Keep what prices and describes a call, of the models one can call directly."""
    kept = {}
    for name, entry in sorted(models.items()):
        if entry.get("mode") in _MODES and entry.get("litellm_provider") in _PROVIDERS:
            kept[name] = {
                key: value
                for key, value in entry.items()
                if any(part in key for part in _KEEP) and not any(part in key for part in _DROP)
            }
    return kept


def differences(
    old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]
) -> list[Change]:
    """List the models added, removed and repriced."""
    found = []
    for name in sorted({*old, *new}):
        before, after = _rates(old.get(name)), _rates(new.get(name))
        if name not in old:
            found.append(Change(name, "added", new=after))
        elif name not in new:
            found.append(Change(name, "removed", old=before))
        elif before != after:
            found.append(Change(name, "repriced", before, after))
    return found


def _rates(entry: Mapping[str, Any] | None) -> tuple[Decimal | None, Decimal | None]:
    def million(name: str) -> Decimal | None:
        value = (entry or {}).get(name)
        return None if value is None else Decimal(value) * 1_000_000

    return million("input_cost_per_token"), million("output_cost_per_token")
