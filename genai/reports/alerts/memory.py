"""Which sink has heard of which episode, and when: a small file beside the ledger."""

import json
from collections.abc import Sequence
from pathlib import Path

from genai.project import write_whole

Told = dict[str, dict[str, float]]  # episode -> sink -> Unix time


def keep(path: Path, episodes: Sequence[str]) -> None:
    """Forget every episode but these. Raises `InputError`: it cannot be written."""
    known = read(path)
    lasting = {name: heard for name, heard in known.items() if name in episodes}
    if lasting != known:
        write_whole(path, json.dumps(lasting, sort_keys=True))


def add(path: Path, episode: str, sink: str, at: float) -> None:
    """Remember that a sink was told. Raises `InputError`: it cannot be written."""
    known = read(path)
    known.setdefault(episode, {})[sink] = at
    write_whole(path, json.dumps(known, sort_keys=True))


def read(path: Path) -> Told:
    """Give what is known; nothing where the file is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): {str(sink): float(at) for sink, at in heard.items()}
            for name, heard in found.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}  # told once too often is better than never
