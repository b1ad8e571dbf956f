"""Scorers of an answer's text, by worked examples; figures agree with the tools that are named."""

import math
from typing import Any

import pytest
from trials import judge, score, trial, unmeasured

from genai.evals.scorers import Tools
from genai.evals.trial import CannotMeasure


def says(name: str, text: str, expected: Any = None, **params: Any) -> Any:
    return score(name, trial(text, {"expected": expected}), **params)


@pytest.mark.parametrize(
    ("name", "text", "expected", "value"),
    [
        ("exact", " Paris\n", "Paris", True),
        ("exact", "paris", "Paris", False),
        ("exact", "42", 42, True),
        ("exact", "b", ["a", "b"], True),
        ("exact_normalised", "The  Eiffel-Tower!", "eiffeltower", True),
        ("exact_normalised", "\uff30aris", "paris", True),  # NFKC
        ("exact_normalised", "STRASSE", "stra\u00dfe", True),
        ("exact_normalised", "3.5", "35", False),
        ("exact_normalised", "-5", "5", False),
        ("exact_normalised", "\u22125", "-5", True),
        ("exact_normalised", "1,234", "1234", True),
        ("exact_normalised", "+", "-", False),
        ("exact_normalised", "\U0001f44d", "\U0001f44e", False),
        ("exact_normalised", "a", "the", False),
        ("one_of", " Spam ", ["ham", "spam"], True),
        ("one_of", "spam.", ["ham", "spam"], False),
        ("contains", "It is in Paris.", "Paris", True),
        ("contains", "It is in paris.", "Paris", False),
        ("contains_all", "red and green", ["red", "green"], True),
        ("contains_all", "red and green", ["red", "blue"], False),
        ("contains_any", "red and green", ["blue", "green"], True),
        ("contains_any", "red and green", ["blue"], False),
        ("starts_with", "\nYes, it is", "Yes", True),
        ("starts_with", "Well, Yes", "Yes", False),
    ],
)
def test_texts_that_match(name: str, text: str, expected: Any, value: bool) -> None:
    assert says(name, text, expected) is value


def test_parameters_stand_in_for_what_is_expected() -> None:
    assert says("one_of", "low", values=["low", "high"]) is True
    assert says("contains", "It is PARIS", value="paris", ignore_case=True) is True
    assert says("contains_all", "a b", values="a b") is True  # a text is one value, not letters
    assert says("starts_with", "YES.", value="yes", ignore_case=True) is True
    assert says("exact_normalised", "The Who", "Who") is True
    assert says("exact_normalised", "The Who", "Who", articles=True) is False
    refused = judge("not_contains", trial("As an AI model, I"), values=["AI model", "sorry"])
    assert (refused.value, refused.reason) == (False, "holds 'AI model'")
    assert says("not_contains", "Fine.", values=["sorry"]) is True
    lacks = judge("contains_all", trial("red", {"expected": ["red", "blue"]}))
    assert lacks.reason == "lacks 'blue'"


def test_patterns_and_sizes() -> None:
    assert says("regex", "id: AB-12\nok", pattern="^ok$", flags="m") is True
    assert says("regex", "id: AB-12", pattern="ab-\\d+") is False
    assert says("regex", "id: AB-12", pattern="ab-\\d+", flags="i") is True
    with pytest.raises(ValueError, match="'z' is not one of"):
        says("regex", "x", pattern="x", flags="z")
    assert says("word_count", "one two three", min=3, max=3) is True
    assert judge("word_count", trial("one two"), min=3).reason == "2 words"
    assert says("word_count", "one two", min=3) is False
    assert says("length", "abcd", max=3) is False
    with pytest.raises(ValueError, match="give `min`, `max` or both"):
        says("length", "abcd")
    assert says("one_line", "\none\n") is True
    assert says("one_line", "one\ntwo") is False


@pytest.mark.parametrize(
    ("text", "expected", "params", "value"),
    [
        ("So 3 + 4 makes 7.", 7, {}, True),
        ("7 is 3 + 4", 7, {}, False),
        ("7 is 3 + 4", 7, {"pick": "first"}, True),
        ("4, 7 or 3", 7, {"pick": "any"}, True),
        ("about 1,234.5 km", "1234.5", {}, True),
        ("It lost $-20", -20, {}, True),
        ("It lost -$20", -20, {}, True),
        ("from 3-5", 5, {}, True),
        ("\u22125", -5, {}, True),
        (".5", 0.5, {}, True),
        ("6.02e23", 6.02e23, {}, True),
        ("12.5 %", 0.125, {}, True),
        ("12.5%", 12.5, {}, True),
        ("0.125", "12.5 %", {}, True),
        ("12.5%", 1.25, {}, False),
        ("3.14", 3.14159, {}, False),
        ("3.14", 3.14159, {"tolerance": 0.01}, True),
        ("105", 100, {"relative": 0.05}, True),
        ("106", 100, {"relative": 0.05}, False),
        ("see v1.2", 1.2, {}, False),
        ("none", 3, {}, False),
        ("0.30000000000000004", 0.3, {}, True),
        ("2", ["1", "2"], {}, True),
    ],
)
def test_numbers_in_prose(text: str, expected: Any, params: dict[str, Any], value: bool) -> None:
    assert says("numeric", text, expected, **params) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("B", True),
        ("b", True),
        ("(B)", True),
        ("B. The stork", True),
        ("B) because A is wrong", True),
        ("The answer is (B).", True),
        ("The answer is A. No: the answer is B", True),
        ("Answer: **B**", True),
        ("So it must be \\boxed{B}", True),
        ("A stork, hence (B)", True),
        ("A", False),
        ("A stork", False),
        ("(A) or (B)", False),
        ("I do not know", False),
        ("The answer is B2", False),
    ],
)
def test_multiple_choice(text: str, value: bool) -> None:
    assert says("choice", text, "B") is value
    assert says("choice", text, "(b)") is value


def test_f1_of_sets() -> None:
    assert says("set_f1", "- red\n- green\n- red", ["Green", "red", "blue"]) == pytest.approx(0.8)
    assert says("set_f1", '["red", "blue"]', "blue; red") == 1
    assert says("set_f1", "[]", []) == 1
    assert says("set_f1", "red", []) == 0
    assert judge("set_f1", trial("red", {"expected": ["red", "blue"]})).reason == "lacks 'blue'"


FOX = ("The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog")


@pytest.mark.parametrize(
    ("name", "text", "expected", "value"),
    [
        # 8 words given, 9 wanted: 6 words, 2 pairs in common; the quick brown jumps the in order
        ("rouge_1", *FOX, 2 * 6 / 17),
        ("rouge_2", *FOX, 2 * 2 / 15),
        ("rouge_l", *FOX, 2 * 5 / 17),
        ("rouge_1", "testing", "testing one two", 0.5),  # rouge-score's own test
        ("rouge_2", "testing one", "testing one two", 2 / 3),
        ("rouge_l", "one two testing", "testing one two", 2 / 3),
        ("rouge_1", "\u4e2d\u6587", "\u4e2d\u56fd", 0.5),
        # articles and punctuation go: quick brown dog jumps on log / quick brown fox jumps over
        # lazy dog
        ("token_precision", *FOX, 4 / 6),
        ("token_recall", *FOX, 4 / 7),
        ("token_f1", *FOX, 8 / 13),
        ("token_f1", "x y", ["z", "x"], 2 / 3),
        # 5/6 4/5 3/4 2/3 and a brevity penalty for 6 against 7 words; sacrebleu gives 64.32
        (
            "bleu", "the cat sat on the mat", "a cat sat on the mat today",
            (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25 * math.exp(1 - 7 / 6),
        ),
        # 1/4, then nothing: 1/(2 3), 1/(4 2), 1/(8 1); sacrebleu gives 12.44
        (
            "bleu", "the cat is here", "the dog was there now",
            (1 / 4 / 6 / 8 / 8) ** 0.25 * math.exp(-1 / 4),
        ),
        ("bleu", "the cat", ["a dog", "the cat"], 1.0),
        ("bleu", "x", "the cat", 0.0),
        ("chrf", "The cat sat on the mat", "A cat sat on a mat", 0.5511),  # sacrebleu
        # orders 1 and 2: P 1/2 and 0, R 1 and 0 cannot be: one order only, as `b` has one
        ("chrf", "ab", "b", 5 * 0.5 / (4 * 0.5 + 1)),
        ("edit_similarity", "kitten", "sitting", 1 - 3 / 7),
        ("edit_similarity", "", "abc", 0.0),
        ("jaccard", "red green blue", "Green, blue, grey", 0.5),
    ],
)  # fmt: skip
def test_overlap(name: str, text: str, expected: Any, value: float) -> None:
    assert says(name, text, expected) == pytest.approx(value, abs=5e-5 if name == "chrf" else 1e-12)


def test_nothing_to_compare_with_does_not_apply() -> None:
    assert says("rouge_2", "one two", "one") is None
    assert says("rouge_1", "one", "!!!") is None
    assert says("rouge_2", "one two", ["one", "one two"]) == 1
    assert says("bleu", "one", "...") is None
    assert says("chrf", "one", " ") is None


def test_similarity_of_meaning_is_the_best_cosine() -> None:
    rows = {"a": [1.0, 0.0], "b": [0.6, 0.8], "c": [-1.0, 0.0]}
    tools = Tools(embed=lambda texts: [rows[each] for each in texts])
    assert score("semantic_similarity", trial("a", {"expected": ["c", "b"]}), tools) == 0.6
    assert score("semantic_similarity", trial("a", {"expected": "c"}), tools) == 0
    assert unmeasured("semantic_similarity", trial("a", {"expected": "b"})) == "missing_field"


def test_texts_too_long_for_edits_are_unmeasured() -> None:
    given = trial("ab" * 40_000, {"expected": "cd" * 40_000})
    with pytest.raises(CannotMeasure, match="use `rouge_l` or `chrf`"):
        score("edit_similarity", given)
    same = trial("ab" * 500_000 + "x", {"expected": "ab" * 500_000 + "y"})
    assert score("edit_similarity", same) == 1 - 1 / 1_000_001


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null]}', True),
        ("NaN", False),
        ("[1,]", False),
        ('Here: {"a": 1}', False),
        ('```json\n{"a": 1}\n```', False),
        ("[" * 100_000, False),
    ],
)
def test_json_is_read_strictly(text: str, value: bool) -> None:
    assert says("json_valid", text) is value


def test_json_in_a_fence_counts_where_asked() -> None:
    assert says("json_valid", '```json\n{"a": 1}\n```', fenced=True) is True
    assert says("json_equal", '```\n{"a": 1}\n```', {"a": 1}, fenced=True) is True


def test_json_fits_a_schema() -> None:
    assert says("json_schema", '{"n": 1}', schema=SCHEMA) is True
    breach = judge("json_schema", trial('{"n": "1"}'), schema=SCHEMA)
    assert (breach.value, breach.reason) == (False, "n breaks `type`")
    assert judge("json_schema", trial("{}"), schema=SCHEMA).reason == "the top breaks `required`"
    assert says("json_schema", "{", schema=SCHEMA) is False
    with pytest.raises(ValueError, match="the schema itself is wrong"):
        says("json_schema", "{}", schema={"type": "thing"})


def test_a_schema_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Any] = []
    monkeypatch.setattr("urllib.request.urlopen", fetched.append)
    with pytest.raises(Exception, match="example.invalid"):
        says("json_schema", "{}", schema={"$ref": "https://example.invalid/schema"})
    assert not fetched


@pytest.mark.parametrize(
    ("path", "equals", "value"),
    [
        ("$.a.b[0]", 1, True),
        ("$.a.b[-1]", True, True),
        ("$.a.b[0]", True, False),  # true is not 1
        ('$["odd key"].x', None, True),
        ("$.a.b[9]", 1, False),
        ("$.a.c", 1, False),
        ("$.a[0]", 1, False),
        ("$", {"odd key": {"x": None}, "a": {"b": [1.0, "x", True]}}, True),
    ],
)
def test_json_path(path: str, equals: Any, value: bool) -> None:
    text = '{"a": {"b": [1, "x", true]}, "odd key": {"x": null}}'
    assert says("json_path", text, path=path, equals=equals) is value
    assert says("json_path", text, "no", path=path) is False


def test_json_path_must_be_understood() -> None:
    for path in ("a.b", "$..a", "$.a[*]", "$.a["):
        with pytest.raises(ValueError, match="write it like"):
            says("json_path", "{}", path=path, equals=1)
    assert says("json_path", '{"a": 1}', path="$.a") is None
    assert says("json_path", '{"a": 1}', 1, path="$.a") is True


def test_json_values_are_equal_whatever_the_order_of_keys() -> None:
    assert says("json_equal", '{"b": 1, "a": [1, 2]}', {"a": [1.0, 2], "b": 1}) is True
    assert says("json_equal", "[1, 2]", [1, 2]) is True
    assert says("json_equal", "[2, 1]", [1, 2]) is False
    assert says("json_equal", '{"a": true}', '{"a": 1}') is False
    assert says("json_equal", '"text"', "text") is True
