"""Training rows: what one is, and how JSONL becomes rows or says which line cannot.

Three kinds, in the columns that TRL reads too:

    sft         {"messages": [...]}, or {"prompt": ..., "completion": ...}
    preference  {"prompt": ..., "chosen": ..., "rejected": ...}       dpo, orpo
    labelled    {"prompt": ..., "completion": ..., "label": true}     kto

A prompt is a list of turns or a string, which is one user turn; an answer is one assistant turn or
a string. `id` and `provenance` may stand beside them.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from genai.config import text_hash
from genai.errors import InputError

FaultKind = Literal["schema", "role", "empty", "identical"]
_ROLES = ("system", "user", "assistant", "tool")
_COLUMNS = {
    "sft": ({"messages"}, {"prompt", "completion"}),
    "dpo": ({"prompt", "chosen", "rejected"},),
    "orpo": ({"prompt", "chosen", "rejected"},),
    "kto": ({"prompt", "completion", "label"},),
}
_BESIDE = {"id", "provenance"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row came from, so that it can be reviewed, held out, or erased later.

    `events` are ids of what it was made from, `user_key` the keyed hash of who wrote it, `group`
    what must stay on one side of a split together. `pii` lists what a detector found. `question` is
    what the person asked, where a prompt file stands around it.
    """

    source: str = ""
    events: tuple[str, ...] = ()
    call_id: str = ""
    prompt_id: str = ""
    model: str = ""
    created_at: float | None = None
    user_key: str = ""
    group: str = ""
    consent: str = ""
    pii: tuple[str, ...] = ()
    detector: str = ""
    reviewer: str = ""
    licence: str = ""
    question: str = ""


NOWHERE = Provenance()
_KNOWN = {each.name for each in fields(Provenance)}


@dataclass(frozen=True, slots=True)
class SftRow:
    """A conversation whose last turn, the assistant's, is to be said."""

    id: str
    messages: tuple[Turn, ...]
    provenance: Provenance = NOWHERE
    file: str = ""
    line: int = 0

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """The turns before the answer."""
        return self.messages[:-1]

    @property
    def answers(self) -> tuple[str, ...]:
        """The one answer."""
        return (self.messages[-1].content,)


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """Two answers to one prompt, the better one first."""

    id: str
    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    provenance: Provenance = NOWHERE
    file: str = ""
    line: int = 0

    @property
    def answers(self) -> tuple[str, ...]:
        """The chosen and the rejected answer."""
        return (self.chosen, self.rejected)


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """An answer that somebody found good or bad."""

    id: str
    prompt: tuple[Turn, ...]
    completion: str
    label: bool
    provenance: Provenance = NOWHERE
    file: str = ""
    line: int = 0

    @property
    def answers(self) -> tuple[str, ...]:
        """The one answer."""
        return (self.completion,)


Row = SftRow | PreferenceRow | LabelledRow


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that cannot be trained on, and why."""

    kind: FaultKind
    file: str
    line: int
    message: str

    def text(self) -> str:
        """Say it in one line."""
        return f"{self.file}: line {self.line}: {self.message}"


class _Wrong(Exception):
    """A line is wrong: its kind of fault and a sentence."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind: FaultKind = kind


def scan(path: Path, method: str) -> Iterator[Row | Fault]:
    """Give every line of a file as a row, or as the fault it has.

    Raises:
        InputError: the file cannot be read.
    """
    shown = path.name
    first: frozenset[str] | None = None
    for number, line in _lines(path, shown):
        try:
            given = _object(line)
            columns = frozenset(given) - _BESIDE
            if first is not None and columns != first:
                raise _Wrong("schema", f"has {_list(columns)} where the file began with"
                             f" {_list(first)}; keep one kind a file")  # fmt: skip
            row = _row(given, method, shown, number)
            first = columns if first is None else first
            yield row
        except _Wrong as error:
            yield Fault(error.kind, shown, number, str(error))


def read_rows(paths: Iterable[Path], method: str) -> list[Row]:
    """Read files of rows and refuse the first line that cannot be trained on.

    Raises:
        InputError: names file, line and what is wrong.
    """
    found: list[Row] = []
    for path in paths:
        for each in scan(path, method):
            if isinstance(each, Fault):
                raise InputError(f"{each.text()}; mend or remove it (`genai finetune check`)")
            found.append(each)
    if not found:
        raise InputError(f"{', '.join(p.name for p in paths) or 'no file'}: holds no row; write"
                         " some, or name another file")  # fmt: skip
    return found


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as JSONL, all or nothing; give their number.

    Raises:
        InputError: the file cannot be written.
    """
    count = 0
    draft = path.with_name(f"{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(columns_of(row), ensure_ascii=False) + "\n")
                count += 1
        draft.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        draft.unlink(missing_ok=True)
        raise InputError(f"{path.name}: cannot be written ({error}); free space or mend its rights"
                         ) from error  # fmt: skip
    return count


def columns_of(row: Row) -> dict[str, Any]:
    """Give a row in the columns of its JSONL line; what is not known is left out."""
    found: dict[str, Any] = {"id": row.id}
    if isinstance(row, SftRow):
        found["messages"] = [asdict(turn) for turn in row.messages]
    elif isinstance(row, PreferenceRow):
        found |= {"prompt": [asdict(turn) for turn in row.prompt],
                  "chosen": [{"role": "assistant", "content": row.chosen}],
                  "rejected": [{"role": "assistant", "content": row.rejected}]}  # fmt: skip
    else:
        found |= {"prompt": [asdict(turn) for turn in row.prompt],
                  "completion": [{"role": "assistant", "content": row.completion}],
                  "label": row.label}  # fmt: skip
    known = {key: value for key, value in asdict(row.provenance).items() if value not in ("", ())}
    known = {key: value for key, value in known.items() if value is not None}
    return found | ({"provenance": known} if known else {})


def row_hash(row: Row) -> str:
    """Give the SHA-256 of what is trained: turns and answers; neither id nor provenance matter."""
    given = {key: each for key, each in columns_of(row).items() if key not in _BESIDE}
    text = json.dumps(given, sort_keys=True, ensure_ascii=False)
    return text_hash(text)


def rows_hash(rows: Sequence[Row]) -> str:
    """Give the SHA-256 over the rows in their order."""
    whole = hashlib.sha256()
    for row in rows:
        whole.update(bytes.fromhex(row_hash(row)))
    return whole.hexdigest()


def _lines(path: Path, shown: str) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except FileNotFoundError as error:
        cure = "mend its path, or write it: `genai loop promote` and `genai finetune data` do"
        raise InputError(f"{shown}: does not exist; {cure}") from error
    except OSError as error:
        raise InputError(f"{shown}: cannot be read ({error}); name a JSONL file") from error


def _object(line: bytes) -> dict[str, Any]:
    try:
        given = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _Wrong("schema", f"is not JSON ({error})") from error
    if not isinstance(given, dict):
        raise _Wrong("schema", f"is {type(given).__name__}, not an object")
    return given


def _row(given: Mapping[str, Any], method: str, shown: str, number: int) -> Row:
    columns = set(given) - _BESIDE
    if columns not in _COLUMNS[method]:
        wanted = ", or ".join(_list(each) for each in _COLUMNS[method])
        raise _Wrong("schema", f"has {_list(columns)}; `{method}` takes {wanted}")
    beside = (_provenance(given.get("provenance")), shown, number)
    row: Row
    if "messages" in given:
        turns = _turns(given["messages"], "messages")
        _answer_of(turns[-1:], "messages")
        row = SftRow("", turns, *beside)
    elif "chosen" in given:
        chosen, rejected = (_answer(given[key], key) for key in ("chosen", "rejected"))
        row = PreferenceRow("", _prompt(given["prompt"]), chosen, rejected, *beside)
        if _squeezed(chosen) == _squeezed(rejected):
            raise _Wrong("identical", "`chosen` and `rejected` are the same text, case aside")
    elif "label" in given:
        if not isinstance(given["label"], bool):
            raise _Wrong("schema", f"`label` is {given['label']!r}, not true or false")
        completion = _answer(given["completion"], "completion")
        row = LabelledRow("", _prompt(given["prompt"]), completion, given["label"], *beside)
    else:
        last = Turn("assistant", _answer(given["completion"], "completion"))
        row = SftRow("", (*_prompt(given["prompt"]), last), *beside)
    name = given.get("id", "")
    if not isinstance(name, str):
        raise _Wrong("schema", f"`id` is {name!r}, not a string")
    return replace(row, id=name or row_hash(row)[:16])


def _prompt(given: Any) -> tuple[Turn, ...]:
    turns = (Turn("user", given),) if isinstance(given, str) else _turns(given, "prompt")
    if turns[-1].role == "assistant":
        raise _Wrong("role", "`prompt` ends with the assistant; the answer belongs beside it")
    if not any(turn.content.strip() for turn in turns):
        raise _Wrong("empty", "`prompt` is empty")
    return turns


def _answer(given: Any, key: str) -> str:
    turns = (Turn("assistant", given),) if isinstance(given, str) else _turns(given, key)
    if len(turns) != 1:
        raise _Wrong("role", f"`{key}` has {len(turns)} turns; it is one turn of the assistant")
    return _answer_of(turns, key)


def _answer_of(turns: Sequence[Turn], key: str) -> str:
    if turns[0].role != "assistant":
        raise _Wrong("role", f"`{key}` ends with the {turns[0].role}; only what the assistant says"
                     " is trained")  # fmt: skip
    if not turns[0].content.strip():
        raise _Wrong("empty", f"`{key}` is empty, so only the end would be trained")
    return turns[0].content


def _turns(given: Any, key: str) -> tuple[Turn, ...]:
    if not isinstance(given, list) or not given:
        raise _Wrong("schema", f"`{key}` is neither a string nor a list of turns")
    return tuple(_turn(each, f"{key}[{place}]") for place, each in enumerate(given))


def _turn(given: Any, where: str) -> Turn:
    if not isinstance(given, dict) or set(given) != {"role", "content"}:
        keys = _list(set(given)) if isinstance(given, dict) else type(given).__name__
        raise _Wrong("schema", f"`{where}` is {keys}; a turn is `role` and `content`")
    role, content = given["role"], given["content"]
    if role not in _ROLES:
        raise _Wrong("schema", f"`{where}.role` is {role!r}; use one of {', '.join(_ROLES)}")
    if not isinstance(content, str):
        raise _Wrong("schema", f"`{where}.content` is {type(content).__name__}, not a string")
    return Turn(role, content)


def _provenance(given: Any) -> Provenance:
    if given is None:
        return NOWHERE
    if not isinstance(given, dict) or set(given) - _KNOWN:
        unknown = _list(set(given) - _KNOWN) if isinstance(given, dict) else type(given).__name__
        raise _Wrong("schema", f"`provenance` has {unknown}; known: {_list(_KNOWN)}")
    lists = {key: tuple(map(str, given[key])) for key in ("events", "pii") if key in given}
    return Provenance(**{**given, **lists})


def _squeezed(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"
