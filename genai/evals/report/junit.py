"""A run as JUnit XML, for the test view of a build server.

One test case a metric that gates or has a limit. What could not be measured is an error and never
skipped; what is undecided on a pull request passes, and says so.
"""

from xml.etree import ElementTree as ET

from genai.evals.gate import Comparison, Decision
from genai.evals.report.base import Measured, Report
from genai.evals.report.findings import RUN, Finding, findings, verdict, visible
from genai.evals.report.text import money, size_lines


def render(report: Report, decision: Decision | None) -> str:
    """Give the XML; a test case fails exactly where the exit code is not 0."""
    found = findings(report, decision)
    suite = ET.Element("testsuite", name=visible(report.suite), time=f"{report.seconds:.3f}")
    if report.at:
        suite.set("timestamp", report.at)
    _properties(suite, report, decision)
    for metric in report.metrics:
        if metric.gate or metric.hard or metric.limit or metric.name in found:
            name = f"{metric.name} [{metric.where}]" if metric.where else metric.name
            _case(suite, report, name, metric.words(), found.get(metric.name, []))
    if RUN in found:
        _case(suite, report, RUN, report.text(), found[RUN])
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        suite.set(attribute, str(len(list(suite.iter(tag)))))
    root = ET.Element("testsuites", name="genai evals")
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, report: Report, name: str, said: str, found: list[Finding]) -> None:
    case = ET.SubElement(suite, "testcase", classname=visible(report.suite), name=visible(name))
    failing = [each for each in found if each.fails]
    for each in failing[:1]:  # a test case has one result; the others follow as text
        tag = "error" if each.kind == "unmeasured" else "failure"
        result = ET.SubElement(case, tag, type=each.word, message=visible(each.reason))
        result.text = visible(each.detail or each.reason)
    more = [f"{each.word}: {each.reason}" for each in found if each not in failing[:1]]
    ET.SubElement(case, "system-out").text = visible("\n".join([*more, said]))


def _properties(suite: ET.Element, report: Report, decision: Decision | None) -> None:
    word, reason = verdict(report, decision)
    values = {
        "verdict": word, "reason": reason, "stage": report.stage, "dataset": report.dataset,
        "task": report.task, "variant": report.variant, "run": report.run,
        "spend": money(report), "size": "; ".join(size_lines(report, decision)),
    }  # fmt: skip
    if decision is not None:
        values["baseline"] = decision.baseline
        for each in decision.comparisons:
            values |= _compared(each)
    for metric in report.metrics:
        values |= _measured(metric)
    block = ET.SubElement(suite, "properties")
    for name, value in values.items():
        if value:
            ET.SubElement(block, "property", name=visible(name), value=visible(value))


def _measured(metric: Measured) -> dict[str, str]:
    values = {"value": metric.value, "value_low": metric.low, "value_high": metric.high}
    named = {
        f"{metric.name}.{key}": repr(value) for key, value in values.items() if value is not None
    }
    return {**named, f"{metric.name}.measured": metric.coverage}


def _compared(each: Comparison) -> dict[str, str]:
    values = {
        "L": each.low, "U": each.high, "p": each.p, "q": each.q, "n": each.n,
        "MDE": each.detectable, "needs": each.needs, "within": each.within, "margin": each.margin,
        "coverage": each.coverage[1], "coverage_before": each.coverage[0],
    }  # fmt: skip
    named = {
        f"{each.metric}.{key}": repr(value) for key, value in values.items() if value is not None
    }
    return {**named, f"{each.metric}.verdict": str(each.word) if each.gate else "(shown)"}
