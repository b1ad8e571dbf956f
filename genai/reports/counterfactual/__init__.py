"""What recorded traffic would have cost another way, and how good it would have been."""

from genai.reports.counterfactual.change import Change
from genai.reports.counterfactual.price import Counterfactual, counterfactual
from genai.reports.counterfactual.ratios import Ratios, ratios

__all__ = ["Change", "Counterfactual", "Ratios", "counterfactual", "ratios"]
