"""What went wrong in a period: found day by day, named by its cause, and costed."""

from genai.reports.incidents.explain import Incident, incidents, text
from genai.reports.incidents.facts import Facts, read_facts

__all__ = ["Facts", "Incident", "incidents", "read_facts", "text"]
