"""Settings of a project: arguments > `GENAI_*` environment > `configs/genai.yaml` > defaults.

A setting `chain.model` is overridden by `GENAI_CHAIN_MODEL`. Secrets never stand in a file: a
setting names the environment variable that holds one.
"""

from genai.config.load import load_config, misspelt_variables
from genai.config.read import (
    Currency,
    Settings,
    digest,
    parse_yaml,
    read_settings,
    read_yaml,
    text_hash,
    validate,
)
from genai.config.sections import (
    BudgetSettings,
    ChainSettings,
    ConfidenceSettings,
    Config,
    EvalSettings,
    IndexSettings,
    LedgerSettings,
    ModelSettings,
    RefusalSettings,
    RefusalText,
    ReplaySettings,
    TelemetrySettings,
    TrackingSettings,
    settings_of,
)

__all__ = [
    "BudgetSettings", "ChainSettings", "ConfidenceSettings", "Config", "Currency", "EvalSettings",
    "IndexSettings", "LedgerSettings", "ModelSettings", "RefusalSettings", "RefusalText",
    "ReplaySettings", "Settings", "TelemetrySettings", "TrackingSettings", "digest",
    "load_config", "misspelt_variables", "parse_yaml", "read_settings", "read_yaml", "settings_of",
    "text_hash", "validate",
]  # fmt: skip
