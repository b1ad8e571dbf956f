"""A run cut into parts for other processes: same ids, same log, any number of workers.

Cases are dealt by the hash of their id, so that the parts do not depend on the workers. A worker
writes its own file in the run's folder and leaves out what stands there already, so that a part
may be done twice without being paid for twice.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai import bridge
from genai.evals.metrics import bind
from genai.evals.run import Options, Run
from genai.evals.scorers import Tools
from genai.evals.store import Scores, join_run, read_log
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


def shares(
    folder: Path, parts: Sequence[Sequence[str]], spend: Decimal | None
) -> list[Decimal | None]:
    """Give each part its money: what its cases have cost so far, and its share of what is left.

    Together the parts never have more than `spend` dollars, however often a run is gone on with.
    """
    if spend is None:
        return [None] * len(parts)
    paid: dict[str, Decimal] = defaultdict(Decimal)
    case_of: dict[str, str] = {}
    for path in sorted(folder.glob("log-*.jsonl")):
        for line in read_log(path):
            if isinstance(line, Scores):
                paid[case_of.get(line.unit, "")] += line.paid
            else:
                case_of[line.unit] = line.case_id
                paid[line.case_id] += line.cost or 0
    left = max(spend - sum(paid.values()), Decimal(0))
    total = sum(map(len, parts))
    return [
        sum((paid[case] for case in part if case in paid), left * len(part) / total)
        for part in parts
    ]


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
