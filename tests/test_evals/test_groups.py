"""Groups that are tags are compared on their own cases, with an interval and an adjusted p."""

import json
from pathlib import Path

import pytest

from genai.cli import main
from genai.errors import CaseError
from genai.evals import Tools, evaluate
from genai.evals.groups import Gap, by_tag


def test_groups_by_an_ordinary_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        {"id": f"c{n}", "input": f"{n}", "expected": "yes",
         "tags": ["language:" + ("de", "fr", "it")[n % 3], "other"]}
        for n in range(120)
    ]  # fmt: skip
    (tmp_path / "evals").mkdir()
    path = tmp_path / "evals" / "s.yaml"
    body = {"suite": "s", "metrics": {"exact": {"show": True}}, "cases": cases}
    path.write_text(json.dumps(body))
    runs = tmp_path / ".genai" / "runs"
    report = evaluate(path, lambda text: "no" if int(text) % 12 == 1 else "yes", runs, Tools())
    gaps = {(gap.a, gap.b): gap for gap in by_tag(report, "language:", "exact")}
    de, fr, it = (f"language:{each}" for each in ("de", "fr", "it"))
    assert list(gaps) == [(de, fr), (de, it), (fr, it)]
    worse = gaps[de, fr]
    assert (worse.mean_a, worse.mean_b, worse.n) == (1.0, 0.75, 80)
    # Newcombe's interval of 40 of 40 and 30 of 40
    assert (worse.low, worse.high) == pytest.approx((-0.402, -0.110), abs=0.002)
    assert worse.q < 0.01
    assert gaps[de, it].difference == 0
    with pytest.raises(CaseError, match="two are needed to compare"):
        by_tag(report, "country:", "exact")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    command = ["eval", "behaviour", "s", "--metric", "exact", "--tags", "language:"]
    assert main(command) == 0
    assert (
        "exact: language:fr 0.750, language:de 1.000, difference -0.250" in capsys.readouterr().out
    )


def test_cases_of_one_cluster_are_one_unit_between_tags_too(tmp_path: Path) -> None:
    def gap(size: int) -> Gap:
        cases = [
            {"id": f"c{n}", "input": f"{n}", "expected": "yes", "cluster": f"d{n // size}",
             "tags": ["language:" + ("de" if n < 60 else "fr")]}
            for n in range(120)
        ]  # fmt: skip
        (tmp_path / str(size) / "evals").mkdir(parents=True)
        path = tmp_path / str(size) / "evals" / "s.yaml"
        body = {"suite": "s", "metrics": {"exact": {"show": True}}, "cases": cases}
        path.write_text(json.dumps(body))
        report = evaluate(
            path, lambda text: "no" if 60 <= int(text) < 72 else "yes", tmp_path, Tools()
        )
        (found,) = by_tag(report, "language:", "exact")
        return found

    alone, together = gap(1), gap(12)
    assert alone.difference == together.difference == pytest.approx(-0.2)
    assert alone.q < 0.001
    assert together.q > 0.1  # one bad document of five
