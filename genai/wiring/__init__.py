"""Put a project's parts together: what `genai.load()` and the other openers of the face give.

Everything here reads `configs/` and passes settings down; no lower room reads them itself.
"""

from genai.wiring.chain import Index, load
from genai.wiring.guards import load_guards
from genai.wiring.parts import batch, model, open_ledger, prices, settings, upload
from genai.wiring.prompts import diff_prompts, known_prompts, prompt
from genai.wiring.tasks import open_task
from genai.wiring.trials import evaluate, grid
from genai.wiring.tuning import judge, promote, train

__all__ = [
    "Index", "batch", "diff_prompts", "evaluate", "grid", "judge", "known_prompts", "load",
    "load_guards", "model", "open_ledger", "open_task", "prices", "promote", "prompt", "settings",
    "train", "upload",
]  # fmt: skip
