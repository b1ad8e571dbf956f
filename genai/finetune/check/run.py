"""Check a recipe's data before anything is trained: seconds, no GPU, no model."""

import time
from collections.abc import Callable

from genai.errors import ConfigError, InputError
from genai.finetune.check import rows as by_rows
from genai.finetune.check import tokens
from genai.finetune.check.leaks import Index, duplicates, held_out, leaks
from genai.finetune.check.licences import licences
from genai.finetune.check.report import CheckReport, Finding, Lengths, Sample
from genai.finetune.data import Fault, Row, load_tokenizer, scan
from genai.finetune.recipe import Recipe, base_of, located
from genai.project import Project


def check_data(
    recipe: Recipe, project: Project, *, progress: Callable[[str], None] = lambda _: None
) -> CheckReport:
    """Run every check of a recipe; `progress` is told what is done next.

    Raises:
        InputError: a file or the base cannot be read at all.
        MissingExtra: transformers is not installed.
    """
    start = time.perf_counter()
    rows: list[Row] = []
    owners: list[int] = []
    found: list[Fault] = []
    for number, file in enumerate(recipe.data):
        progress(f"reading {file.path}")
        for each in scan(located(project, file.path), recipe.method):
            if isinstance(each, Fault):
                found.append(each)
            else:
                rows.append(each)
                owners.append(number)
    result = by_rows.faults(found, len(rows) + len(found))
    result.append(licences(recipe))
    if not rows:
        empty = Finding("rows", "fail", "no line can be trained on", 0, len(found))
        return CheckReport(recipe.name, 0, (*result, empty), None, (), time.perf_counter() - start)
    result += [by_rows.sense(recipe, len(rows)), *by_rows.of_method(recipe, rows)]
    progress("looking for personal data")
    result += [by_rows.personal(rows, recipe, owners), by_rows.reviewed(rows)]
    progress("looking for duplicates and leaks")
    index = Index(rows, recipe.check.near)
    result += duplicates(rows, index, recipe.check.duplicates)
    result += leaks(rows, index, held_out(recipe, project), recipe)
    del index
    progress("rendering")
    more, lengths, samples = _rendered(recipe, project, rows)
    seconds = time.perf_counter() - start
    return CheckReport(recipe.name, len(rows), (*result, *more), lengths, samples, seconds)


def _rendered(
    recipe: Recipe, project: Project, rows: list[Row]
) -> tuple[list[Finding], Lengths | None, tuple[Sample, ...]]:
    base = base_of(recipe, project)
    tokenizer = load_tokenizer(base, recipe.revision)
    ends = tokens.stops(tokenizer, base, recipe.revision)
    served = project.state / "finetune" / "runs" / recipe.name / "model"
    result = [
        *tokens.special(tokenizer, ends),
        tokens.templates(tokenizer, base, served),
        *tokens.dated(tokenizer),
        tokens.control(tokenizer, rows),
    ]
    try:
        own = {tokenizer.eos_token_id, *ends}
        measured = tokens.measure(tokenizer, rows, recipe.mask, own)
    except ConfigError:
        raise
    except InputError as error:
        return [*result, Finding("template", "fail", str(error))], None, ()
    most = tokens.choose_length(recipe, measured)
    result += tokens.findings(recipe, measured, most)
    return result, tokens.lengths(measured, most), tuple(measured.samples)
