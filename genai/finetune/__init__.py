"""Fine-tuning that is gated by the task: a recipe gives an adapter that the evals say is better."""

from genai.finetune.recipe import Recipe as Recipe
from genai.finetune.recipe import base_of as base_of
from genai.finetune.recipe import find_recipe as find_recipe
from genai.finetune.recipe import load_recipe as load_recipe
from genai.finetune.recipe import located as located

__all__ = ["Recipe", "base_of", "find_recipe", "load_recipe", "located"]
