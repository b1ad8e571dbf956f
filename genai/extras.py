"""Load an optional package on first use, or name the pip line that brings it."""

import importlib
from types import ModuleType

from genai.errors import MissingExtra


def load(module: str, extra: str) -> ModuleType:
    """Import `module`, which the extra `extra` installs.

    Raises:
        MissingExtra: the package is absent; the message holds the pip line.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        if package == "genai":
            raise
        line = f"pip install 'genai-workbench[{extra}]'"
        raise MissingExtra(f"`{package}` is not installed; run: {line}") from error
