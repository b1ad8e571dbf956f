"""Words as the full-text index sees them: lower case, no accents, stemmed.

The tokenizer is SQLite's own (`porter unicode61`), so a word here and a word in the index are the
same word.
"""

import re
import sqlite3
import threading
import unicodedata
from collections.abc import Sequence

TOKENIZER = "porter unicode61 remove_diacritics 2"
_WORD = re.compile(r"\w+", re.UNICODE)
# more marks on a letter than any writing has, which take long to be put in order
_MANY_MARKS = re.compile(r"([^\w\s]{30})[^\w\s]+")
STOP_WORDS = frozenset(
    "a about above after again all also am an and any are as at be because been before being below"
    " between both but by can could did do does doing down during each few for from further had has"
    " have having he her here hers him his how i if in into is it its itself just let like may me"
    " might more most must my no nor not of off on once only or other our out over own please same"
    " shall she should so some such tell than that the their them then there these they this those"
    " through to too under until up us very want was we were what when where which while who whom"
    " why will with would you your".split()
)
# print's own signs inside a word: where it may be parted, and letters set as one
_PRINTED = str.maketrans(
    {"\u00ad": None, "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi"}
    | {"\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
_local = threading.local()


def unprinted(text: str) -> str:
    """Give a text without soft hyphens and ligatures, which hide a word from whoever types it."""
    return text if text.isascii() else text.translate(_PRINTED)


def words(text: str) -> list[str]:
    """Give the content words of a question, unstemmed, stop words dropped, order kept.

    A question made of stop words alone keeps them all.
    """
    # a letter and a mark that is drawn on it are one sign, or they would part the word
    plain = _MANY_MARKS.sub(r"\1 ", unprinted(text).replace("\x00", " "))
    found = _WORD.findall(unicodedata.normalize("NFC", plain))
    return [word for word in found if word.lower() not in STOP_WORDS] or found


def stems(texts: Sequence[str]) -> list[list[str]]:
    """Give each text's distinct stems, in no particular order."""
    return _read(texts, "SELECT DISTINCT term, doc FROM v")


def phrases(texts: Sequence[str]) -> list[list[str]]:
    """Give each text's stems in the order in which they stand in it."""
    return _read(texts, "SELECT term, doc FROM v ORDER BY doc, offset")


def _read(texts: Sequence[str], sql: str) -> list[list[str]]:
    connection: sqlite3.Connection | None = getattr(_local, "connection", None)
    if connection is None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute(f"CREATE VIRTUAL TABLE t USING fts5(x, tokenize='{TOKENIZER}')")
        connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'instance')")
        _local.connection = connection
    found: list[list[str]] = [[] for _ in texts]
    connection.execute("BEGIN")
    try:
        connection.executemany(
            "INSERT INTO t(rowid, x) VALUES (?, ?)",
            [(n, t.encode("utf-8", "replace").decode()) for n, t in enumerate(texts)],
        )
        for term, row in connection.execute(sql):
            found[row].append(term)
    finally:
        connection.execute("ROLLBACK")
    return found


def content_stems(texts: Sequence[str]) -> list[set[str]]:
    """Give each text's stems without stop words, which a text of nothing else keeps."""
    return [set(each) for each in stems([" ".join(words(text)) for text in texts])]
