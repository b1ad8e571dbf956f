"""The training page, in a real browser: a run that goes on, one that has ended, none."""

import json
import math
import resource
from collections.abc import Callable
from pathlib import Path

import pages
import pytest
from pages import fits, metric, shown
from playwright.sync_api import Browser, Page, expect

from genai.errors import InputError
from genai.finetune.curves import append, read_curves

pytestmark = pytest.mark.browser
browser, axe = pages.browser, pages.axe
folder, address = pages.folder, pages.address
Axe = Callable[[Page], list[str]]


def begin(folder: Path, name: str) -> Path:
    run = folder / ".genai" / "finetune" / "runs" / name
    run.mkdir(parents=True)
    held = {"steps": 120, "recipe": {"evals": {"metric": "exact"}}}
    (run / "inputs.json").write_text(json.dumps(held))
    return run


def log(run: Path, step: int) -> None:
    """Log a step as a preference run does, which gains margin while the task falls."""
    append(run, {"step": step, "seconds": step / 4, "loss": 0.69 * math.exp(-step / 40),
                 "rewards/margins": step / 40, "logps/chosen": -0.7 - step / 50})  # fmt: skip
    if step % 30 == 0:
        append(run, {"step": step, "seconds": step / 4, "dev/exact": 0.7 - step / 400})


def test_without_a_run_the_page_names_the_command(browser: Browser, address: str) -> None:
    for page in shown(browser, address, "training"):
        expect(page.get_by_text("No run yet.")).to_be_visible()
        expect(page.get_by_text("genai finetune run")).to_be_visible()


def test_a_run_is_followed_while_it_goes_on_until_it_ends(
    browser: Browser, address: str, folder: Path
) -> None:
    run = begin(folder, "followed")
    for step in range(10, 40, 10):
        log(run, step)
    text = (run / "curves.jsonl").read_text()
    (run / "curves.jsonl").write_text(text + '{"step": 40, "lo')  # a line half written
    for page in shown(browser, address, "training"):
        expect(page.get_by_text("30 of 120")).to_be_visible()
        expect(metric(page, "State")).to_have_text("Running")
        expect(metric(page, "Time left")).to_have_text("22 s")
        expect(metric(page, "Task score, exact")).to_have_text("0.625")
        expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(4)
        (run / "curves.jsonl").write_text(text)
        for step in range(40, 130, 10):
            log(run, step)
        expect(page.get_by_text("120 of 120")).to_be_visible()  # nobody asked for it anew
        expect(metric(page, "Margin")).to_have_text("3.000")
        expect(metric(page, "Task score, exact")).to_have_text("0.400")  # the task falls
        (run / "run.lock.json").write_text("{}")
        expect(page.get_by_text("Finished", exact=True)).to_be_visible()
        expect(page.get_by_text("genai finetune compare followed")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_passes_axe(
    browser: Browser, address: str, folder: Path, axe: Axe, scheme: str
) -> None:
    run = folder / ".genai" / "finetune" / "runs" / "whole"
    if not run.exists():
        begin(folder, "whole")
        for step in range(1, 121):
            log(run, step)
        (run / "run.lock.json").write_text("{}")
    for page in shown(browser, address, "training", scheme=scheme):
        expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(4)
        fits(page, f"training-{scheme}", axe)


def test_a_step_that_is_trained_again_counts_once(tmp_path: Path) -> None:
    run = begin(tmp_path, "again")
    for step in (10, 20, 30, 20, 30, 40):
        log(run, step)
    found = read_curves(run)
    assert [each["step"] for each in found.lines] == [10, 20, 30, 40]
    assert found.last("dev/exact") == 0.625
    assert found.last("entropy") is None
    (run / "curves.jsonl").write_text('{"step": 1')  # of the first line only half is there yet
    with pytest.raises(InputError, match="no whole line yet"):
        read_curves(run)


def test_a_line_that_a_full_disk_cut_is_passed_over_and_written_anew(tmp_path: Path) -> None:
    run = begin(tmp_path, "cut")
    log(run, 10)
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = (run / "curves.jsonl").stat().st_size + 9
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    try:
        with pytest.raises(OSError, match="File too large"):
            log(run, 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
    assert (run / "curves.jsonl").stat().st_size == room  # half a line
    assert [each["step"] for each in read_curves(run).lines] == [10]
    log(run, 20)
    log(run, 30)
    assert [each["step"] for each in read_curves(run).lines] == [10, 20, 30]
