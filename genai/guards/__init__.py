"""Guards: what may reach a model and what may reach a person, one Verdict each."""

from genai.guards.base import Guard, apply, combine
from genai.guards.policy import Policy, PolicySettings, load_policy

__all__ = ["Guard", "Policy", "PolicySettings", "apply", "combine", "load_policy"]
