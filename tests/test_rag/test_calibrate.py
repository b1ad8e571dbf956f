"""The confidence is fitted to labelled questions, and a stale calibration is refused."""

import json
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from indexes import starter

import genai
from genai import cli
from genai.errors import ConfigError, InputError
from genai.rag.calibrate import (
    Seen,
    best_threshold,
    calibrate,
    cross_fit,
    fit,
    read_calibration,
    threshold_at_risk,
)
from genai.rag.confidence import Signals, Weights, look
from genai.rag.curve import aurc, balanced_accuracy, bootstrap, risk_bound, risk_coverage
from genai.types import Hit, Passage

FLAT = Weights(0.0, 0.0, 0.0, 0.0, 0.0)


def hit(text: str, document: str = "a.md", bm25: float = 1.0, dense: float | None = None) -> Hit:
    return Hit(Passage(f"{document} {text}", document, 0, len(text), text), 0.0, bm25, dense)


def seen(n: int, noise: float, seed: int = 1) -> list[Seen]:
    draw, found = random.Random(seed), []
    for number in range(n):
        good = number % 2 == 0
        sentence = (0.7 if good else 0.3) + draw.gauss(0, noise)
        found.append(Seen(Signals(sentence, draw.random(), 0.5, 0.5), good, good, number // 4))
    return found


# -- signals --------------------------------------------------------------------------------------


def test_the_signals_are_what_they_are_called() -> None:
    hits = [
        hit("Storks nest on chimneys. They eat frogs.", bm25=4.0, dense=0.5),
        hit("Herons fish.", bm25=1.0, dense=0.9),
        hit("Storks are birds.", "b.md", bm25=1.0, dense=0.1),
    ]
    found = look("Where do storks nest?", hits, lambda stem: 1.0)
    assert found is not None
    assert found.sentence == pytest.approx((1.0 + 0.5) / 2)  # both words stand in one sentence
    assert found.lead == pytest.approx((1.0 + 0.5) / 2 - (0.5 + 0.1) / 2)
    assert found.together == pytest.approx(2 / 3)
    assert found.drop == pytest.approx(1 - 1.0 / 4.0)


def test_words_of_two_sentences_are_not_one_that_says_it() -> None:
    one = look("storks frogs", [hit("Storks eat frogs.")], lambda stem: 1.0)
    two = look("storks frogs", [hit("Storks fly. There are frogs.")], lambda stem: 1.0)
    assert one is not None
    assert two is not None
    assert (one.sentence, two.sentence) == (1.0, 0.5)


def test_nothing_found_is_no_confidence() -> None:
    assert look("storks", [], lambda stem: 1.0) is None
    assert Weights(9.0, 0.0, 0.0, 0.0, 0.0).confidence(None) == 0.0


def test_a_confidence_is_explained_by_its_shares() -> None:
    weights = Weights(-1.0, 2.0, 3.0, 4.0, 5.0)
    shares = weights.shares(Signals(0.5, 0.1, 1.0, 0.0))
    assert shares == {"sentence": 1.0, "lead": pytest.approx(0.3), "together": 4.0, "drop": 0.0}


# -- curve and threshold --------------------------------------------------------------------------

ROWS = [(0.9, True), (0.8, True), (0.7, False), (0.6, True), (0.6, False)]


def test_risk_over_coverage_to_the_digit() -> None:
    assert risk_coverage(ROWS) == [
        (0.2, 0.0, 0.9),
        (0.4, 0.0, 0.8),
        (0.6, pytest.approx(1 / 3), 0.7),
        (1.0, pytest.approx(2 / 5), 0.6),
    ]
    # of the two at .6 each counts half an error: risks 0, 0, 1/3, 1.5/4, 2/5
    assert aurc(ROWS) == pytest.approx((0 + 0 + 1 / 3 + 1.5 / 4 + 2 / 5) / 5)


def test_the_area_does_not_depend_on_the_order_of_equal_confidences() -> None:
    assert aurc(ROWS) == aurc(list(reversed(ROWS)))


def test_the_bound_is_clopper_and_pearsons() -> None:
    assert risk_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert risk_bound(2, 20) == pytest.approx(0.28262, abs=1e-5)  # their table
    assert risk_bound(5, 5) == risk_bound(0, 0) == 1.0


def test_balanced_accuracy_and_its_best_threshold() -> None:
    rows = [(0.9, True), (0.5, True), (0.4, False), (0.1, False)]
    assert balanced_accuracy(rows, 0.45) == 1.0
    assert best_threshold(rows) == pytest.approx(0.45)
    with pytest.raises(ValueError, match="both questions with and without"):
        balanced_accuracy(rows[:2], 0.5)


def test_the_threshold_of_a_risk_stops_before_its_bound_is_passed() -> None:
    rows = [(1 - n / 200, n < 100 or n % 2 == 0) for n in range(200)]
    found = threshold_at_risk(rows, 0.05)
    assert found is not None
    kept = [right for score, right in rows if score >= found]
    looser = [right for score, right in rows if score >= found - 1 / 200 - 1e-9]
    assert risk_bound(kept.count(False), len(kept)) <= 0.05
    assert risk_bound(looser.count(False), len(looser)) > 0.05
    assert threshold_at_risk(rows[:20], 0.05) is None  # twenty right answers prove no 5 %


def test_the_interval_is_of_clusters_and_repeats() -> None:
    rows = [(n / 100, n > 30) for n in range(100)]
    alone = bootstrap(aurc, rows, list(range(100)))
    assert alone == bootstrap(aurc, rows, list(range(100)))
    low, high = bootstrap(aurc, rows, [n // 25 for n in range(100)])
    assert high - low > alone[1] - alone[0]


# -- fitting --------------------------------------------------------------------------------------


def test_a_fit_finds_the_signal_that_tells() -> None:
    weights = fit(seen(400, 0.1))
    assert weights.sentence > 5 * abs(weights.lead)
    rows = [(weights.confidence(each.signals), each.answerable) for each in seen(400, 0.1, seed=2)]
    assert balanced_accuracy(rows, 0.5) > 0.95


def test_both_kinds_count_alike_however_many_there_are() -> None:
    few = [each for n, each in enumerate(seen(400, 0.1)) if each.answerable or n % 10 == 1]
    rows = [(fit(few).confidence(each.signals), each.answerable) for each in seen(400, 0.1, seed=2)]
    assert balanced_accuracy(rows, 0.5) > 0.95


def test_few_questions_move_given_weights_little() -> None:
    centre = Weights(-6.0, 8.0, 2.0, 1.6, 2.2)
    near, far = fit(seen(8, 0.1), centre), fit(seen(800, 0.1), centre)
    assert abs(near.sentence - 8) < abs(far.sentence - 8)


def test_a_question_is_scored_by_weights_that_never_saw_its_document() -> None:
    rows = seen(80, 0.2)
    turned = [Seen(e.signals, not e.answerable, e.right, e.cluster) if e.cluster == 3 else e
              for e in rows]  # fmt: skip
    before, after = cross_fit(rows), cross_fit(turned)
    same = [n for n, each in enumerate(rows) if each.cluster == 3]
    assert [before[n] for n in same] == [after[n] for n in same]
    assert before != after


def test_labels_that_say_nothing_give_no_better_than_chance() -> None:
    draw = random.Random(3)
    rows = [
        Seen(Signals(draw.random(), draw.random(), draw.random(), draw.random()),
             n % 2 == 0, n % 2 == 0, n)
        for n in range(200)
    ]  # fmt: skip
    found = calibrate(rows, FLAT, index="i", made_with={})
    accuracy = found.figures["balanced_accuracy"]
    assert accuracy["low"] <= 0.58


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(InputError, match="label at least 10 of each"):
        calibrate(seen(12, 0.1), FLAT, index="i", made_with={})


# -- the file -------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    starter(tmp_path)
    rooms = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "inlet",
             "jetty", "knoll", "ledge"]  # fmt: skip
    for number, room in enumerate(rooms):
        text = f"# Room {room}\n\nThe {room} room holds {number + 4} people and has a balcony.\n"
        (tmp_path / "docs" / f"{room}.md").write_text(text, encoding="utf-8")
    cases = [
        f"  - {{id: in-{room}, input: 'How many people does the {room} room hold?', kind:"
        f" answerable, gold: [{{document: {room}.md, quote: 'The {room} room holds"
        f" {number + 4} people'}}]}}"
        for number, room in enumerate(rooms)
    ]
    strange = ["tax", "visa", "goalkeeper", "sonata", "volcano", "enzyme", "sonnet", "glacier",
               "treaty", "comet", "cheese", "violin"]  # fmt: skip
    cases += [
        f"  - {{id: out-{word}, input: 'Who wrote about the {word} of last winter?', kind:"
        " unanswerable}"
        for word in strange
    ]
    suite = (
        "suite: rooms\nversion: 1\nsource: docs\ntask: chain\nmetrics: {answer_rate: {min: 0}}\n"
    )
    (tmp_path / "evals" / "rooms.yaml").write_text(
        suite + "cases:\n" + "\n".join(cases) + "\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    genai.Index().sync(tmp_path / "docs")
    return tmp_path


def test_an_index_that_holds_nothing_is_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_CHAIN_INDEX", "empty")
    words = [sys.executable, "-m", "genai", "index", "calibrate", "--suite", "rooms"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert len(done.stderr.splitlines()) == 1


def test_calibrate_writes_threshold_weights_proof_and_curve(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["index", "calibrate", "--suite", "rooms"]) == 0
    said = capsys.readouterr().out
    assert "24 of 24 questions reached the threshold, 12 of them with an answer" in said
    path = place / "configs" / "calibration" / "handbook.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["balanced_accuracy"]["value"] == 1.0
    assert data["made_with"]["suite"].startswith("rooms@")
    assert data["curve"][-1][0] == 1.0
    drawing = ET.fromstring(path.with_suffix(".svg").read_text(encoding="utf-8"))
    assert drawing.tag.endswith("svg")
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", "calibrated")
    chain = genai.load()
    assert chain.steps.threshold == data["threshold"] == read_calibration(path).threshold
    assert isinstance(chain("How many people does the cedar room hold?"), genai.Answer)
    assert isinstance(chain("Who wrote about the tax of last winter?"), genai.Refusal)


def test_a_stale_calibration_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", "calibrated")
    with pytest.raises(ConfigError, match="handbook.json: is missing, but `chain.min_confidence`"):
        genai.load()
    monkeypatch.delenv("GENAI_CHAIN_MIN_CONFIDENCE")
    cli.main(["index", "calibrate", "--suite", "rooms"])
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", "calibrated")
    genai.load()
    with pytest.raises(ConfigError, match="`search` was 6 passages.*now it is 3 passages"):
        genai.load(chain__top_k=3)
    prompt = place / "prompts" / "rag" / "answer.md"
    before = prompt.read_text(encoding="utf-8")
    prompt.write_text(before + "Be brief.\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="`prompt` was rag/answer@.*run `genai index calibrate`"):
        genai.load()
    prompt.write_text(before, encoding="utf-8")
    monkeypatch.setenv("GENAI_EMBEDDER", "json:loads")
    with pytest.raises(ConfigError, match="`embedder` was static.*now it is json:loads"):
        genai.load()
    monkeypatch.delenv("GENAI_EMBEDDER")
    suite = place / "evals" / "rooms.yaml"
    text = suite.read_text(encoding="utf-8")
    suite.write_text(text.replace("Who wrote about the tax", "Who sang of the tax"), "utf-8")
    with pytest.raises(ConfigError, match="`suite` was rooms@"):
        genai.load()


def test_a_broken_calibration_names_file_and_cure(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "configs" / "calibration" / "handbook.json"
    path.parent.mkdir()
    path.write_text('{"version": 1, "threshold": 7}', encoding="utf-8")
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", "calibrated")
    with pytest.raises(ConfigError, match=r"configs/calibration/handbook.json: is not a calib"):
        genai.load()


@pytest.mark.parametrize("given", ["1.5", "maybe"])
def test_a_threshold_is_a_share_or_the_word(
    place: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", given)
    with pytest.raises(ConfigError, match="must be a number from 0 to 1, or `calibrated`"):
        genai.settings()
