"""Exact spans: does every passage stand where it says, for every parser and splitter?

    python benchmarks/spans.py

Generates 1,000 documents of eight kinds (Markdown, HTML, text, CSV, DOCX, PDF, Python, JavaScript)
with scripts from right to left, text without spaces, emoji of many parts, combining marks, CRLF
and NUL, cuts each with every splitter, and counts what is wrong. The peer is LangChain's recursive
splitter with `add_start_index`, on the same texts, measured in characters, in tokens, and through
our adapter. A million-line CSV is read beside, with the memory it takes. Prints Markdown and
writes it to `benchmarks/results/spans.md`; exits with 1 if a span of ours is wrong.
"""

import io
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import docx
from figures import Figure, table_of
from langchain_text_splitters import RecursiveCharacterTextSplitter

from genai.errors import DocumentError
from genai.rag.documents import Document, parse
from genai.rag.split import Splitting, split
from genai.rag.split.base import joined
from genai.rag.split.tokens import open_tokenizer

Cut = Callable[[Document], list[tuple[int, int, str]]]
HERE = Path(__file__).parent
COUNT, LIMIT, SEED = 1000, 300, 20261125
RECURSIVE = "langchain_text_splitters:RecursiveCharacterTextSplitter"
OURS = {
    "structure": Splitting(LIMIT),
    "tables": Splitting(LIMIT, "tables"),
    "code": Splitting(LIMIT, "code"),
    "sentences": Splitting(LIMIT, "sentences"),
    "sentences, overlap 80": Splitting(LIMIT, "sentences", overlap=80),
    "tokens, 4 characters each, overlap 10": Splitting(LIMIT, "tokens", max_tokens=60, overlap=10),
    "tokens, counted, overlap 10": Splitting(
        LIMIT, "tokens", max_tokens=60, overlap=10, tokenizer="static"
    ),
}
SCRIPTS = [
    "The notice period is 30 days. It starts on Monday. ", "Zwei Sätze über Öl! Größe zählt. ",
    "中文没有空格。第二句在这里。", "休暇は二十七日です。", "שלום עולם. משפט שני. ",
    "مرحبا بالعالم؟ جملة ثانية. ",
    "यह एक वाक्य है। दूसरा है। ", "안녕하세요. \u1112\u1161\u11ab\u1100\u1173\u11af ", "สวัสดีครับ",
    "e\u0301tude a\u0308\u0323 ",
]  # fmt: skip
EMOJI = ["😀", "👩\u200d👩\u200d👧\u200d👦", "🇩🇪🇫🇷", "👍🏽", "❤\ufe0f", "👩\u200d🚀" * 40]
STRUCTURE = [
    "# Title\n\n", "## Under it\n\n", "- item\n- other\n", "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "```\ncode = 1\n```\n", "> quote\n", "<b>tag</b> ", "name,city\n", "\n\n", "\r\n", "\t", "    ",
    "def f(a):\n    return (a,\n        1)\n\n", "class A {\n  b() { return '}'; }\n}\n",
    "\x00", "\u2028",
    "same line\n" * 30, "x" * 700, "word " * 120, "\x0b", "}", "(",
]  # fmt: skip
KINDS = [".md", ".html", ".txt", ".csv", ".docx", ".pdf", ".py", ".js"]


def pdf(pages: Sequence[str]) -> bytes:
    """Write a PDF with these lines, one a page, so that no other program is needed."""
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(pages)))
    bodies = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>"]
    for number, text in enumerate(pages):
        drawn = f"BT /F1 9 Tf 20 700 Td ({text}) Tj ET"
        bodies += [
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1<</Type/Font"
            f"/Subtype/Type1/BaseFont/Courier>>>>>>/Contents {4 + 2 * number} 0 R>>",
            f"<</Length {len(drawn)}>>\nstream\n{drawn}\nendstream",
        ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    rows = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(bodies) + 1
    return (
        out
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{rows}trailer<</Size {size}/Root 1 0 R>>\n"
            f"startxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )


def documents(count: int, seed: int) -> list[Document]:
    """Generate documents and read them by their kind's parser; the seed fixes all of it."""
    chance = random.Random(seed)
    made: list[Document] = []
    while len(made) < count:
        pieces = [
            chance.choice(chance.choice([SCRIPTS, SCRIPTS, EMOJI, STRUCTURE]))
            for _ in range(chance.randint(3, 60))
        ]
        ending = KINDS[len(made) % len(KINDS)]
        made.append(parse(f"{len(made)}{ending}", source("".join(pieces) + ".", ending)))
    return made


def source(text: str, ending: str) -> bytes:
    if ending == ".docx":
        file, out = docx.Document(), io.BytesIO()
        for line in text.replace("\x00", "").replace("\x0b", " ").split("\n"):
            file.add_paragraph(line, style="Heading 1" if line.startswith("# ") else None)
        file.save(out)
        return out.getvalue()
    if ending == ".pdf":
        plain = "".join(char for char in text if " " <= char <= "~" and char not in "()\\")
        return pdf([plain[:900] or "first", plain[900:1800] or "second"])
    if ending == ".csv":
        return ("name,text\n" + text.replace('"', "")).replace("\x00", "").encode()
    # a NUL among the first characters would say that the file is binary
    return (" " * 8192 + text if "\x00" in text else text).encode()


def wrong(document: Document, spans: Iterable[tuple[int, int, str]], overlaps: bool) -> list[str]:
    """Name what is wrong with the spans of one document, one word a violation."""
    text, end, found = document.text, 0, []
    for start, stop, passage in spans:
        if text[start:stop] != passage:
            found.append("span")
        if not 0 <= start < stop <= len(text) or stop <= end or (start < end and not overlaps):
            found.append("order")
        if text[end:start].strip():
            found.append("lost")
        if start and not text[start - 1].isspace() and joined(text, start):
            found.append("letter cut")
        end = stop
    return found + ["lost"] * bool(text[end:].strip())


def measure(name: str, made: list[Document], cut: Cut) -> tuple[str, int]:
    """Cut every document; give a row of the table and the number of wrong spans."""
    passages, found, refused = 0, list[str](), 0
    start = time.process_time()
    for document in made:
        try:
            spans = cut(document)
        except DocumentError:
            refused += 1
            continue
        passages += len(spans)
        found += wrong(document, spans, "overlap" in name or "LangChain" in name)
    speed = passages / (time.process_time() - start)
    counts = [found.count(kind) for kind in ("span", "lost", "letter cut", "order")]
    cells = [f"{len(made) - refused}", passages, *counts, f"{speed:,.0f}"]
    return f"| {name} | {' | '.join(map(str, cells))} |", sum(counts)


def ours(settings: Splitting) -> Cut:
    return lambda document: [(p.start, p.end, p.text) for p in split(document, settings)]


def theirs(length: Callable[[str], int], size: int) -> Cut:
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=size, chunk_overlap=size // 6, length_function=length, add_start_index=True
    )

    def cut(document: Document) -> list[tuple[int, int, str]]:
        found = splitter.create_documents([document.text])
        starts = [(each.metadata["start_index"], each.page_content) for each in found]
        return [(start, start + len(text), text) for start, text in starts]

    return cut


MILLION = """
import resource, time
from genai.rag.documents import parse
from genai.rag.split import Splitting, split
source = b"id,name,value\\n" + b"12345,some name here,99.5\\n" * 1_000_000
parse("warm.csv", b"a,b\\n1,2\\n")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
passages = split(parse("a.csv", source), Splitting())
seconds = time.process_time() - start
more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(f"{len(source) / 1e6:.0f} MB, {len(passages):,} passages: {seconds:.1f} s of processor time,"
      f" {more:.0f} MiB more memory at the peak")
"""


def main() -> int:
    """Print the table; 1 if a span of ours is wrong."""
    made = documents(COUNT, SEED)
    rows, bad = [], 0
    for name, settings in OURS.items():
        row, violations = measure(name, made, ours(settings))
        rows.append(row)
        bad += violations
    tokenizer = open_tokenizer("static")
    words = "LangChain recursive, `add_start_index`, "
    peers = {
        words + "characters": theirs(len, LIMIT),
        words + "tokens": theirs(lambda text: len(tokenizer.encode(text).ids), 60),
        words + "words": theirs(lambda text: len(text.split()), 60),
        "LangChain recursive through our adapter": ours(Splitting(LIMIT, RECURSIVE, overlap=50)),
    }
    rows += [measure(name, made, cut)[0] for name, cut in peers.items()]
    million = subprocess.run(
        [sys.executable, "-c", MILLION], capture_output=True, text=True, check=True
    ).stdout.strip()
    text = "\n".join(
        [
            "# Exact spans",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()},"
            f" langchain-text-splitters {version('langchain-text-splitters')};"
            f" {COUNT:,} generated documents of {len(KINDS)} kinds, seed {SEED}; load"
            f" {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors. Command:"
            " `python benchmarks/spans.py`.",
            "",
            "| splitter | documents | passages | span not its text | text lost | letter cut in two"
            " | out of order | passages/s |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            *table_of(
                [Figure("wrong spans of ours, all documents and splitters", f"{bad}", "<= 0")]
            ),
            "",
            "A letter is cut in two where a passage begins inside an"
            " emoji, a flag or an accented letter. The adapter finds the spans of LangChain's own"
            " texts, and refuses a document of which they drop something.",
            "",
            f"A CSV of a million lines, {million}.",
        ]
    )
    print(text)
    (HERE / "results" / "spans.md").write_text(text + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
