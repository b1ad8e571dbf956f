"""Prompts as files: typed variables, roles that only the template can make, one hash."""

from genai.prompts.file import Prompt, parse_prompt
from genai.prompts.labels import Labels, read_labels, set_label
from genai.prompts.load import find_prompt, load_prompt, own_or_shipped, prompt_names, revisions

__all__ = [
    "Labels", "Prompt", "find_prompt", "load_prompt", "own_or_shipped", "parse_prompt",
    "prompt_names", "read_labels", "revisions", "set_label",
]  # fmt: skip
