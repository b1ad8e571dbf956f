"""Guards: what may reach a model and what may reach a person, one Verdict each."""

from genai.guards.audit import Audit
from genai.guards.base import Guard, apply, combine
from genai.guards.policy import Policy, load_policy
from genai.guards.pseudonyms import Pseudonyms
from genai.guards.settings import PolicySettings
from genai.guards.stream import StreamGate

__all__ = [
    "Audit", "Guard", "Policy", "PolicySettings", "Pseudonyms", "StreamGate", "apply", "combine",
    "load_policy",
]  # fmt: skip
