"""Prompts as files: typed variables, roles that only the template can make, one hash."""

from genai.prompts.file import Prompt, load_prompt

__all__ = ["Prompt", "load_prompt"]
