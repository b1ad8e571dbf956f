"""Other programs' way in: any task behind OpenAI's chat protocol."""

from genai.server.app import create_app as create_app
from genai.server.app import serve as serve

__all__ = ["create_app", "serve"]
