"""Scorers that count what an answer shares with the accepted ones: words, n-grams, characters.

All give 0 to 1, the best over the accepted answers, and None without `expected`. None of them
knows meaning: a wrong word in a long right answer costs little. Linear in the answer.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import compress

from genai.evals.scorers.answer import accepted, best, judged, normalise, words
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import Trial


@judged(wrong=0.0, expected=True)
def token_f1(trial: Trial, tools: Tools) -> float:
    """Give F1 of the normalised words, repeats counted: 2PR / (P + R).

    Source: SQuAD's evaluation (Rajpurkar et al. 2016); two texts without a word give 1.
    """
    given = normalise(trial.text).split()
    return best(trial, lambda each: _f1(*_shares(given, normalise(each).split())))


@judged(wrong=0.0, expected=True)
def token_precision(trial: Trial, tools: Tools) -> float:
    """Give the share of the answer's normalised words that the accepted answer has, with repeats.

    The P of SQuAD's F1.
    """
    given = normalise(trial.text).split()
    return best(trial, lambda each: _shares(given, normalise(each).split())[0])


@judged(wrong=0.0, expected=True)
def token_recall(trial: Trial, tools: Tools) -> float:
    """Give the share of the accepted answer's normalised words that the answer has, with repeats.

    The R of SQuAD's F1.
    """
    given = normalise(trial.text).split()
    return best(trial, lambda each: _shares(given, normalise(each).split())[1])


@judged(wrong=0.0, expected=True)
def rouge_1(trial: Trial, tools: Tools) -> float | None:
    """Give ROUGE-1 F: 2PR / (P + R) over words, repeats counted, no stemming.

    None also where no accepted answer has a word. Source: Lin 2004.
    """
    return _rouge_n(trial, 1)


@judged(wrong=0.0, expected=True)
def rouge_2(trial: Trial, tools: Tools) -> float | None:
    """Give ROUGE-2 F: 2PR / (P + R) over pairs of neighbouring words, repeats counted.

    None also where no accepted answer has two words. Source: Lin 2004.
    """
    return _rouge_n(trial, 2)


@judged(wrong=0.0, expected=True)
def rouge_l(trial: Trial, tools: Tools) -> float | None:
    """Give ROUGE-L F: 2PR / (P + R), P and R the longest common subsequence of words over each.

    None also where no accepted answer has a word. Source: Lin 2004, sentence level, beta 1.
    """
    given = words(trial.text)
    values = []
    for wanted in filter(None, map(words, accepted(trial))):
        common = _longest_common(given, wanted)
        values.append(2 * common / (len(given) + len(wanted)))
    return max(values, default=None)


@judged(wrong=0.0, expected=True)
def bleu(trial: Trial, tools: Tools) -> float | None:
    """Give sentence BLEU of 1- to 4-grams against all accepted answers together.

    exp(mean log p_n) times the brevity penalty exp(1 - r/c) for c < r, r the closest length. The
    orders are those the answer is long enough for, and the m-th p_n of zero becomes 1 / (2^m
    count_n). None also where no accepted answer has a word. Sources: Papineni et al. 2002; Chen
    and Cherry 2014, smoothing 3. Words are ours, so figures differ from those of `13a`.
    """
    given = words(trial.text)
    wanted = [each for each in map(words, accepted(trial)) if each]
    if not wanted:
        return None
    if not given:
        return 0.0
    logs, zeros = [], 0
    for n in range(1, min(4, len(given)) + 1):
        most: Counter[tuple[str, ...]] = Counter()
        for each in wanted:
            most |= _ngrams(each, n)
        own = _ngrams(given, n)
        matched = sum(min(count, most[gram]) for gram, count in own.items() if gram in most)
        if n == 1 and not matched:
            return 0.0
        zeros += not matched
        logs.append(math.log((matched or 2.0**-zeros) / own.total()))
    closest = min((abs(len(each) - len(given)), len(each)) for each in wanted)[1]
    brevity = min(0.0, 1 - closest / len(given))
    return math.exp(math.fsum(logs) / len(logs) + brevity)


@judged(wrong=0.0, expected=True)
def chrf(trial: Trial, tools: Tools) -> float | None:
    """Give chrF2: 5PR / (4P + R) over character n-grams of 1 to 6, white space left out.

    P and R are means over the orders that both texts are long enough for; recall weighs twice.
    None also where no accepted answer has a character. Source: Popovic 2015, beta 2.
    """
    given = "".join(trial.text.split())
    wanted = ["".join(each.split()) for each in accepted(trial)]
    return max((_chrf(given, each) for each in wanted if each), default=None)


@judged(wrong=0.0, expected=True)
def jaccard(trial: Trial, tools: Tools) -> float:
    """Give the distinct words in both over the distinct words in either; neither has one: 1."""
    given = set(words(trial.text))

    def share(text: str) -> float:
        wanted = set(words(text))
        return len(given & wanted) / len(given | wanted) if given or wanted else 1.0

    return best(trial, share)


def _shares(given: Sequence[str], wanted: Sequence[str]) -> tuple[float, float]:
    if not given or not wanted:
        return (1.0, 1.0) if not given and not wanted else (0.0, 0.0)
    common = (Counter(given) & Counter(wanted)).total()
    return common / len(given), common / len(wanted)


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _rouge_n(trial: Trial, n: int) -> float | None:
    given = _ngrams(words(trial.text), n)
    values = []
    for each in accepted(trial):
        wanted = _ngrams(words(each), n)
        if wanted:
            common = (given & wanted).total()
            values.append(2 * common / (given.total() + wanted.total()))
    return max(values, default=None)


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Give the length of the longest common subsequence, a row of the table a big integer.

    A zero bit marks where the length grows (Hyyro 2004). The shorter text is the bit row.
    """
    long, short = (one, other) if len(one) >= len(other) else (other, one)
    where: dict[str, int] = {}
    for position, word in enumerate(short):
        where[word] = where.get(word, 0) | 1 << position
    full = (1 << len(short)) - 1
    row = full
    for word in long:
        if word in where:
            matches = row & where[word]
            row = (row + matches | row - matches) & full
    return len(short) - row.bit_count()


def _chrf(given: str, wanted: str) -> float:
    precision = recall = 0.0
    orders = min(6, len(given), len(wanted))
    starts: Sequence[int] = range(len(given))
    for n in range(1, orders + 1):
        grams = Counter(wanted[start : start + n] for start in range(len(wanted) - n + 1))
        own = [given[start : start + n] for start in starts] if n > 1 else given
        # an n-gram that is shared begins with a shared (n-1)-gram, so few starts are left to try
        starts = list(compress(starts, map(grams.__contains__, own)))
        found = Counter(filter(grams.__contains__, own))
        common = (found & grams).total()
        precision += common / (len(given) - n + 1)
        recall += common / (len(wanted) - n + 1)
    weight = 4 * precision + recall
    return 5 * precision * recall / (orders * weight) if weight else 0.0


_EXPECTED = ("expected",)
ALL: tuple[Scorer, ...] = tuple(
    Scorer(score.__name__, score, needs=_EXPECTED)
    for score in (
        token_f1, token_precision, token_recall, rouge_1, rouge_2, rouge_l, bleu, chrf, jaccard
    )
)  # fmt: skip
