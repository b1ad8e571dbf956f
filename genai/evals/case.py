"""What a case is: one input, what should come of it, and how it is grouped.

Cases are small structs, so that a suite of 200,000 fits into memory.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

Kind = Literal["answerable", "unanswerable", "ambiguous", "adversarial"]


class _Part(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Base of the parts of a case: a misspelt key is an error."""


class Turn(_Part, frozen=True):
    """One message of a conversation. An assistant turn that is left out is what the task says."""

    role: Literal["system", "user", "assistant"]
    content: str


class Gold(_Part, frozen=True):
    """Where the answer stands: a quote of a document, white space aside."""

    document: str
    quote: str


class ExpectedTool(_Part, frozen=True):
    """A tool call that should come, with the arguments it must have."""

    name: str
    args: Mapping[str, Any] = msgspec.field(default_factory=dict)


class CaseLimits(_Part, frozen=True):
    """What one case may take: seconds, dollars, tokens in and out together."""

    seconds: float | None = None
    cost: float | None = None
    tokens: int | None = None


class Variant(_Part, frozen=True):
    """A case made from another one: which, by what change, and what must follow.

    `expect`: `same` (invariance) or `changes` (directional). `source` is the hash of the case it
    was made from; `reviewer` is who looked at it.
    """

    of: str
    relation: str
    expect: Literal["same", "changes"] = "same"
    source: str = ""
    maker: str = ""
    reviewer: str = ""


class Case(_Part, frozen=True, gc=False):
    """One input and what should come of it.

    Exactly one of `input` and `messages` is given. `expect` follows from `kind`, except that an
    adversarial case must say it. `gold_any`: one of the gold quotes is enough. `relevant` names
    passage ids, with grades where they are graded. `contexts` are given passages, for judges.
    `cluster` groups cases that stand or fall together, such as those of one document.
    """

    id: str
    input: str = ""
    messages: tuple[Turn, ...] = ()
    expected: Any = None
    kind: Kind | None = None
    expect: Literal["answer", "refusal", ""] = ""
    gold: tuple[Gold, ...] = ()
    gold_any: bool = False
    contexts: tuple[str, ...] = ()
    relevant: dict[str, float] | tuple[str, ...] = ()
    expected_tools: tuple[ExpectedTool, ...] = ()
    cluster: str = ""
    tags: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    limits: CaseLimits | None = None
    repeats: int | None = None
    variant: Variant | None = None
    metadata: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check what no type says, and fill in what follows from the kind."""
        if not self.id:
            raise ValueError("`id` is empty; give each case a name that stays")
        if bool(self.input) == bool(self.messages):
            raise ValueError("give exactly one of `input` and `messages`")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("`messages` must end with a user turn: the task speaks next")
        if self.repeats is not None and self.repeats < 1:
            raise ValueError("`repeats` must be 1 or more")
        if self.kind == "adversarial" and not self.expect:
            raise ValueError("an adversarial case needs `expect: answer` or `expect: refusal`")
        if not self.expect:
            expect = "refusal" if self.kind == "unanswerable" else "answer"
            msgspec.structs.force_setattr(self, "expect", expect)

    @property
    def question(self) -> str:
        """The input, or the last user turn."""
        return self.input or self.messages[-1].content

    @property
    def said(self) -> Sequence[str]:
        """What a user says: the input, or every user turn."""
        turns = [turn.content for turn in self.messages if turn.role == "user"]
        return [self.input] if self.input else turns

    @property
    def grades(self) -> Mapping[str, float]:
        """The relevant passage ids with their grades, 1 where none is given."""
        if isinstance(self.relevant, dict):
            return self.relevant
        return dict.fromkeys(self.relevant, 1.0)

    @property
    def expectations(self) -> Sequence[Any]:
        """The accepted answers: `expected` as a list."""
        if self.expected is None:
            return ()
        return self.expected if isinstance(self.expected, list) else (self.expected,)

    @property
    def hash(self) -> str:
        """16 hex digits over what the case asks and expects; tags and notes do not matter."""
        content: list[Any] = [getattr(self, name) for name in _CONTENT]
        if self.variant is not None:  # who made and who read it changes nothing
            content.append([getattr(self.variant, name) for name in ("of", "relation", "expect")])
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


_CONTENT = (
    "id", "input", "messages", "expected", "kind", "expect", "gold", "gold_any", "contexts",
    "relevant", "expected_tools", "cluster", "limits", "repeats",
)  # fmt: skip


def dataset_hash(cases: Sequence[Case]) -> str:
    """Give 12 hex digits over the cases; neither their order nor their file form matters."""
    whole = hashlib.sha256()
    for each in sorted(case.hash for case in cases):
        whole.update(each.encode())
    return whole.hexdigest()[:12]


def squeeze(text: str) -> str:
    """Give a text with every run of white space as one space."""
    return " ".join(text.split())


def document_text(path: Path) -> str | None:
    """Give a document's text, white space aside; None where the file is markup or no text.

    The index reads a PDF, a Word file or a web page into other text than its file holds.
    """
    if path.suffix.lower() in (".htm", ".html", ".pdf", ".docx"):
        return None
    try:
        return squeeze(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return None
