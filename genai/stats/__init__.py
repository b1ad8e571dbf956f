"""The one place for intervals, paired tests, families of tests and sample sizes."""

from genai.stats.agreement import Agreement, agreement, corrected, kappa
from genai.stats.families import benjamini_hochberg, holm
from genai.stats.intervals import (
    Interval,
    bonett_price,
    clustered,
    log_ratio,
    percentile_ranks,
    rule_of_three,
    wilson,
)
from genai.stats.paired import mcnemar, sign_flip
from genai.stats.power import (
    cases_for_drop,
    cases_to_prove,
    cases_unmoved,
    detectable,
    pass_at,
    pass_hat,
)
from genai.stats.shift import day_permutation, edges, histogram, psi
from genai.stats.unpaired import clustered_difference, newcombe, score_test, split_p

__all__ = [
    "day_permutation", "edges", "histogram", "psi",
    "Agreement", "Interval", "agreement", "benjamini_hochberg", "bonett_price", "cases_for_drop",
    "cases_to_prove", "cases_unmoved", "clustered", "clustered_difference", "corrected",
    "detectable", "holm", "kappa", "log_ratio", "mcnemar", "newcombe", "pass_at", "pass_hat",
    "percentile_ranks", "rule_of_three", "score_test", "sign_flip", "split_p", "wilson",
]  # fmt: skip
