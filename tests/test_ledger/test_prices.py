"""Prices: the worked examples, to the last digit."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from genai.config import parse_yaml
from genai.errors import ConfigError
from genai.ledger import Prices
from genai.types import CostStatus, Usage

ROOT = Path(__file__).parent.parent.parent


# -- prices: the worked examples, to the last digit ------------------------------------------------


@pytest.fixture(scope="module")
def prices() -> Prices:
    text = (ROOT / "configs" / "prices.yaml").read_text(encoding="utf-8")
    return Prices.read(parse_yaml(text, "configs/prices.yaml"), "configs/prices.yaml")


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("gpt-4o-mini", Usage(1000, 500, 0, "provider"), "0.00045"),
        ("openai/gpt-4o", Usage(2006, 300, 1920, "provider"), "0.005615"),
        ("text-embedding-3-small", Usage(123457, 0, 0, "provider"), "0.00246914"),
    ],
)
def test_the_worked_examples(prices: Prices, model: str, usage: Usage, cost: str) -> None:
    found = prices.cost(model, usage)
    assert found.amount == Decimal(cost)
    assert found.status is CostStatus.PRICED


def test_each_status_is_reached(prices: Prices) -> None:
    used = Usage(10, 10, 0, "provider")
    assert prices.cost("extractive", used).status is CostStatus.DECLARED_FREE
    assert prices.cost("extractive", used).amount == 0
    assert prices.cost("no/such-model", used).status is CostStatus.UNPRICED
    assert prices.cost("no/such-model", used).amount is None
    assert prices.cost("gpt-4o", Usage(10, 10, 0, "counted")).status is CostStatus.ESTIMATED
    assert prices.cost("gpt-4o", Usage()).status is CostStatus.UNPRICED


def test_a_model_we_do_not_list_is_priced_from_litellms_file_without_importing_it() -> None:
    code = (
        "import sys; from genai.ledger import Prices; from genai.types import Usage\n"
        "cost = Prices.read({}, 'x').cost('openai/gpt-5-mini', Usage(10**6, 0, 0, 'provider'))\n"
        "assert cost.amount > 0 and cost.status == 'priced', cost\n"
        "assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"models": {"x": {"input": 0.1}}}, "must be a quoted decimal"),
        ({"models": {"x": {"input": "-1"}}}, "must be a quoted decimal"),
        ({"models": {"x": {"inputs": "1"}}}, "`inputs` of `x` is not a rate"),
        ({"model": {}}, "`model` is not a setting"),
    ],
)
def test_a_wrong_price_names_the_model(data: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Prices.read(data, "configs/prices.yaml")
