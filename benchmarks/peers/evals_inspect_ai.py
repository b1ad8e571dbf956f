"""The peer: inspect_ai. Run as `evals_inspect_ai.py CASES URL WIDTH [CACHE]`.

Its log is written while it runs, as shipped; `log_realtime=False` would spare about a fifth.
"""

import os
import sys

cases, url, width, *cache = sys.argv[1:]
os.environ["INSPECT_CACHE_DIR"] = cache[0] if cache else "cache"

from inspect_ai import Task, eval  # noqa: E402
from inspect_ai.dataset import FieldSpec, json_dataset  # noqa: E402
from inspect_ai.model import get_model  # noqa: E402
from inspect_ai.scorer import exact  # noqa: E402
from inspect_ai.solver import generate  # noqa: E402

task = Task(
    dataset=json_dataset(cases, FieldSpec(input="input", target="expected", id="id")),
    solver=generate(cache=bool(cache)),
    scorer=exact(),
)
[log] = eval(
    task,
    model=get_model("openai/bench", base_url=url, responses_api=False),
    max_connections=int(width),
    max_samples=int(width),
    display="none",
    log_dir="logs",
)
print("share", log.results.scores[0].metrics["mean"].value)
