"""Which sink has heard of which episode, and when: a small file beside the ledger."""

import json
from collections.abc import Sequence
from pathlib import Path

from genai.project import write_whole

Told = dict[str, dict[str, float]]  # episode -> sink -> Unix time


def keep(path: Path, episodes: Sequence[str]) -> Told:
    """Forget every episode but these, and give what is known of them."""
    known = {name: heard for name, heard in _read(path).items() if name in episodes}
    write_whole(path, json.dumps(known, sort_keys=True))
    return known


def add(path: Path, episode: str, sink: str, at: float) -> None:
    """Remember that a sink was told."""
    known = _read(path)
    known.setdefault(episode, {})[sink] = at
    write_whole(path, json.dumps(known, sort_keys=True))


def _read(path: Path) -> Told:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): {str(sink): float(at) for sink, at in heard.items()}
            for name, heard in found.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}  # told once too often is better than never
