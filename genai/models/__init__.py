"""The one door to every model, embedder included."""

from genai.models.attempts import Hooks
from genai.models.base import Delta, Provider, worst_case
from genai.models.door import FORMS, open_model
from genai.models.embed import Embedder
from genai.models.embedders import make_embedder
from genai.models.fake import Fake
from genai.models.model import Model

__all__ = [
    "FORMS",
    "Delta",
    "Embedder",
    "Fake",
    "Hooks",
    "Model",
    "Provider",
    "make_embedder",
    "open_model",
    "worst_case",
]
