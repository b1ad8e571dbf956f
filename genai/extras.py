"""Load an optional package on first use, or name the pip line that brings it.

Many packages tell their makers how they are used, or fetch lists from the network when they are
imported. `QUIET` turns that off before the first of them is loaded, and has waiting threads sleep.
"""

import importlib
import os
import sys
from types import ModuleType

from genai.errors import MissingExtra

# each is read once, when its package is imported; what is set already is left
QUIET = {
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # TRL tells of every trainer by way of it
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_WAIT_POLICY": "PASSIVE",  # else torch's threads spin, and two trainings stop each other
    "RAY_USAGE_STATS_ENABLED": "0",
}


def load(module: str, extra: str) -> ModuleType:
    """Import `module`, which the extra `extra` installs.

    Raises:
        MissingExtra: the package is absent; the message holds the pip line.
    """
    if module not in sys.modules:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        if package == "genai":
            raise
        line = f"pip install 'genai-workbench[{extra}]'"
        raise MissingExtra(f"`{package}` is not installed; run: {line}") from error
