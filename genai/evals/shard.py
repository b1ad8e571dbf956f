"""A run cut into parts for other processes: same ids, same log, any number of workers.

Cases are dealt by the hash of their id, so that the parts do not depend on the workers. A worker
writes its own file in the run's folder and leaves out what stands there already, so that a part
may be done twice without being paid for twice.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai import bridge
from genai.evals.metrics import bind
from genai.evals.run import Options, Run
from genai.evals.scorers import Tools
from genai.evals.store import join_run
from genai.evals.suite import Suite

_LEAST, _MOST = 50, 200  # cases of a part


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker does: some cases of a suite, by name, into a run's folder."""

    suite: str
    task: Any
    model: str
    root: str
    folder: str
    cases: tuple[str, ...]
    repeats: int | None = None
    spend: Decimal | None = None
    concurrency: int | None = None


def deal(cases: Sequence[str], workers: int) -> list[tuple[str, ...]]:
    """Deal case ids into parts of 50 to 200, about four for each worker."""
    size = min(max(len(cases) // (4 * max(workers, 1)), _LEAST), _MOST)
    count = max(-(-len(cases) // size), 1)
    parts: list[list[str]] = [[] for _ in range(count)]
    for case in sorted(cases):
        place = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8])
        parts[place % count].append(case)
    return [tuple(part) for part in parts if part]


def run_part(part: Part, suite: Suite, task: Any, tools: Tools, options: Options) -> int:
    """Do the cases of a part that the log does not hold; give how many there were to do."""
    wanted = set(part.cases)
    suite = replace(suite, cases=[case for case in suite.cases if case.id in wanted])
    tools = replace(tools, source=suite.source)
    metrics = bind(suite, tools, suite.path.parent.parent)
    log = join_run(Path(part.folder))
    try:
        run = Run(suite, task, metrics, tools, options, log)
        bridge.run(run.all())
        return run.results.size - run.resumed
    finally:
        log.close()
