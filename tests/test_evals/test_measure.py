"""The figures of a run: intervals on the scale of the metric, and of what belongs together."""

import json
from pathlib import Path

import pytest
from sums import add, run, sums

from genai import stats

MINE = "def rating(trial):\n    return 3.0 + int(trial.case_id[1:]) % 3\n"
RATING = """suite: sums
metrics:
  shown: {scorer: "evals/mine.py:rating", show: true}
  least: {scorer: "evals/mine.py:rating", min: 3.9}
  most: {scorer: "evals/mine.py:rating", max: 4.5}
  low: {scorer: "evals/mine.py:rating", min: 4.5}
"""


def test_a_metric_of_ones_own_has_its_interval_and_limits_on_its_own_scale(tmp_path: Path) -> None:
    path = sums(tmp_path, 30, RATING)
    (path.parent / "mine.py").write_text(MINE)
    report = run(path, add)
    wanted = stats.clustered([3.0, 4.0, 5.0] * 10, confidence=0.975)
    for metric in report.metrics:
        assert (metric.low, metric.high) == pytest.approx((wanted.low, wanted.high))
    states = [report.metric(name).state for name in ("least", "most", "low")]
    assert states == ["inconclusive", "pass", "fail"]  # 4 with its bounds, not 4 alone


def test_a_slice_of_clusters_has_an_interval_by_clusters(tmp_path: Path) -> None:
    path = sums(tmp_path, 40)
    rows = [json.loads(line) for line in (path.parent / "sums.jsonl").read_text().splitlines()]
    for n, row in enumerate(rows):
        row |= {"cluster": f"k{n // 5}", "tags": ["all" if n < 39 else "one"]}
    (path.parent / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(path, lambda question: add(question) if int(question.split()[0]) < 20 else "no")
    whole = report.metric("exact")
    (part,) = (each for each in report.slices if (each.metric, each.tag) == ("exact", "all"))
    assert whole.low is not None
    assert part.low == pytest.approx(whole.low, abs=0.03)  # by Wilson of 39 it would be .36
    assert part.low < 0.2
