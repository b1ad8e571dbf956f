"""A JSON schema as a machine that reads one character after another, for decoding under a schema.

`Reader(schema)` says of a piece of text whether it may come next; a decoder asks it about the
model's best tokens in turn, so that every reply fits. JSON is compact, keys come in the order of
the schema, and one space may follow a colon or a comma. A keyword that cannot be kept is refused.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genai.errors import ModelError

_NOTES = {"title", "description", "default", "examples", "$schema", "$defs", "$id", "$comment"}
_BY_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": set(), "number": set(), "boolean": set(), "null": set(),
}  # fmt: skip
_HEX = set("0123456789abcdefABCDEF")
# a number's phase -> (characters, next phase); the phases after which it may end
_NUMBER: dict[str, tuple[tuple[str, str], ...]] = {
    "start": (("-", "sign"), ("0", "zero"), ("123456789", "whole")),
    "sign": (("0", "zero"), ("123456789", "whole")),
    "zero": ((".", "point"), ("eE", "e")),
    "whole": (("0123456789", "whole"), (".", "point"), ("eE", "e")),
    "point": (("0123456789", "part"),),
    "part": (("0123456789", "part"), ("eE", "e")),
    "e": (("+-", "esign"), ("0123456789", "power")),
    "esign": (("0123456789", "power"),),
    "power": (("0123456789", "power"),),
}
_ENDS = {"zero", "whole", "part", "power"}
_DIGITS = 18  # of one number; a model may otherwise write digits for ever


@dataclass(frozen=True, slots=True)
class _Text:
    """Fixed text."""

    text: str


@dataclass(frozen=True, slots=True)
class _Space:
    """One space, or none."""


@dataclass(frozen=True, slots=True)
class _String:
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class _Body:
    """A string after its opening quote."""

    of: _String


@dataclass(frozen=True, slots=True)
class _Number:
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Either:
    nodes: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class _Ref:
    name: str


@dataclass(frozen=True, slots=True)
class _Object:
    """`fields` are (key as JSON, node, required); `free` takes any key."""

    fields: "tuple[tuple[str, Node, bool], ...]" = ()
    free: bool = False


@dataclass(frozen=True, slots=True)
class _Fields:
    """The rest of an object from a field on."""

    of: _Object
    at: int
    first: bool


@dataclass(frozen=True, slots=True)
class _Array:
    item: "Node"
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class _Items:
    """The rest of an array after so many items."""

    of: _Array
    count: int


Node = (
    _Text
    | _Space
    | _String
    | _Body
    | _Number
    | _Either
    | _Ref
    | _Object
    | _Fields
    | _Array
    | _Items
)
Rest = tuple[Node, Any] | None
# where a machine stands: what it reads, how far it is in it, what follows
_State = tuple[str, Any, Any, Rest]
_DONE: _State = ("done", None, None, None)
_WORDS = (_Text("true"), _Text("false"), _Text("null"))


class Reader:
    """Reads a reply under a schema. `{}` is any JSON value.

    Raises:
        ModelError: the schema holds a keyword that cannot be kept; names it.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            self._defs = {
                f"#/$defs/{name}": _node(each) for name, each in (schema.get("$defs") or {}).items()
            }
            self._states = self._enter((_node(schema), None))
        except (TypeError, AttributeError, RecursionError) as error:
            raise ModelError(
                f"response_format: the schema itself is wrong ({type(error).__name__}: {error});"
                " give a JSON schema",
                "bad_request",
            ) from error

    @property
    def complete(self) -> bool:
        """Whether the text so far is a whole reply."""
        return any(self._ended(state) for state in self._states)

    @property
    def closed(self) -> bool:
        """Whether nothing may follow."""
        return self._states == {_DONE}

    def allows(self, text: str) -> bool:
        """Say whether `text` may come next."""
        return bool(self._after(text))

    def read(self, text: str) -> None:
        """Take text that is allowed."""
        self._states = self._after(text)

    def _after(self, text: str) -> set[_State]:
        states = self._states
        for char in text:
            states = {new for state in states for new in self._step(state, char)}
            if not states:
                break
        return states

    def _ended(self, state: _State) -> bool:
        if state[0] == "number" and state[1][0] in _ENDS:
            return _DONE in self._enter(state[3])
        return state == _DONE

    def _step(self, state: _State, char: str) -> Iterator[_State]:
        kind, at, node, rest = state
        if kind == "text":
            if node.text[at] == char:
                more = at + 1 < len(node.text)
                yield from [("text", at + 1, node, rest)] if more else self._enter(rest)
        elif kind == "string":
            yield from self._in_string(state, char)
        elif kind == "number":
            phase, digits = at
            for chars, new in _NUMBER[phase]:
                whole = not (node.whole and new in ("point", "e"))
                if char in chars and whole and digits < _DIGITS:
                    yield ("number", (new, digits + 1), node, rest)
            if phase in _ENDS:
                for following in self._enter(rest):
                    yield from self._step(following, char)

    def _in_string(self, state: _State, char: str) -> Iterator[_State]:
        _, (phase, count), node, rest = state
        room = node.most is None or count < node.most
        if phase == "body":
            if char == '"' and count >= node.least:
                yield from self._enter(rest)
            elif char == "\\" and room:
                yield ("string", ("escape", count), node, rest)
            elif char >= " " and char not in '"\\' and room:
                yield ("string", ("body", count + 1), node, rest)
        elif phase == "escape":
            if char in '"\\/bfnrt':
                yield ("string", ("body", count + 1), node, rest)
            elif char == "u":
                yield ("string", ("4", count), node, rest)
        elif char in _HEX:
            left = int(phase) - 1
            yield ("string", (str(left), count) if left else ("body", count + 1), node, rest)

    def _enter(self, rest: Rest) -> set[_State]:
        """Give the states that read the first character of what follows."""
        if rest is None:
            return {_DONE}
        node, after = rest
        if isinstance(node, _Text):
            return {("text", 0, node, after)}
        if isinstance(node, _Number):
            return {("number", ("start", 0), node, after)}
        if isinstance(node, _Space):
            return {("text", 0, _Text(" "), after), *self._enter(after)}
        if isinstance(node, _String):
            # the opening quote, then the body as a state of its own
            return {("text", 0, _Text('"'), (_Body(node), after))}
        if isinstance(node, _Body):
            return {("string", ("body", 0), node.of, after)}
        return {state for each in self._choices(node) for state in self._enter(_join(each, after))}

    def _choices(self, node: Node) -> Iterator[tuple[Node, ...]]:
        """Give the ways on as sequences of nodes."""
        if isinstance(node, _Either):
            yield from ((each,) for each in node.nodes)
        elif isinstance(node, _Ref):
            yield (self._named(node.name),)
        elif isinstance(node, _Object):
            yield _Text("{"), _Fields(node, 0, True)
        elif isinstance(node, _Fields):
            yield from _fields(node)
        elif isinstance(node, _Array):
            yield _Text("["), _Items(node, 0)
        elif isinstance(node, _Items):
            of, count = node.of, node.count
            if count >= of.least:
                yield (_Text("]"),)
            if of.most is None or count < of.most:
                comma: tuple[Node, ...] = (_Text(","), _Space()) if count else ()
                yield (*comma, of.item, _Items(of, count + 1))

    def _named(self, name: str) -> Node:
        if name == _FREE_ARRAY:
            return _Array(_ANY)
        if name not in self._defs:
            raise _refused(f"`$ref` {name!r}, which `$defs` does not hold")
        return self._defs[name]


def _fields(node: _Fields) -> Iterator[tuple[Node, ...]]:
    of = node.of
    comma: tuple[Node, ...] = () if node.first else (_Text(","), _Space())
    for at in range(node.at, len(of.fields)):
        key, value, required = of.fields[at]
        yield (*comma, _Text(f"{key}:"), _Space(), value, _Fields(of, at + 1, False))
        if required:
            return
    if of.free:
        yield (*comma, _String(), _Text(":"), _Space(), _ANY, _Fields(of, node.at, False))
    yield (_Text("}"),)


def _join(nodes: tuple[Any, ...], rest: Rest) -> Rest:
    for node in reversed(nodes):
        rest = (node, rest)
    return rest


_FREE_ARRAY = "[]"  # a name, since a value holds arrays that hold values
_ANY = _Either((_String(), _Number(), *_WORDS, _Object(free=True), _Ref(_FREE_ARRAY)))


def _node(schema: Any) -> Node:
    """Make a schema's node. Raises `ModelError` on what cannot be kept."""
    if schema is True or schema == {}:
        return _ANY
    if not isinstance(schema, Mapping):
        raise _refused(f"{json.dumps(schema)} as a schema")
    given = set(schema) - _NOTES
    if "$ref" in given:
        _only(given, {"$ref"})
        return _Ref(str(schema["$ref"]))
    if "anyOf" in given:
        _only(given, {"anyOf"})
        return _Either(tuple(_node(each) for each in schema["anyOf"]))
    if given & {"enum", "const"}:
        _only(given, {"enum", "const", "type"})
        values = schema["enum"] if "enum" in given else [schema["const"]]
        return _Either(tuple(_Text(_compact(value)) for value in values))
    kinds = schema.get("type")
    if kinds is None:
        kinds = "object" if "properties" in given else "array" if "items" in given else None
        if kinds is None:
            _only(given, set())
            return _ANY
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    if unknown := [name for name in names if name not in _BY_TYPE]:
        raise _refused(f"`type: {unknown[0]}`")
    _only(given, {"type"}.union(*(_BY_TYPE[name] for name in names)))
    nodes = tuple(_of_type(name, schema) for name in names)
    return nodes[0] if len(nodes) == 1 else _Either(nodes)


def _of_type(name: str, schema: Mapping[str, Any]) -> Node:
    if name == "object":
        return _object(schema)
    if name == "array":
        item = _node(schema.get("items", True))
        return _Array(item, schema.get("minItems", 0), schema.get("maxItems"))
    if name == "string":
        return _String(schema.get("minLength", 0), schema.get("maxLength"))
    if name in ("integer", "number"):
        return _Number(whole=name == "integer")
    return _Either(_WORDS[:2]) if name == "boolean" else _WORDS[2]


def _object(schema: Mapping[str, Any]) -> Node:
    properties, required = schema.get("properties") or {}, schema.get("required") or ()
    if missing := [name for name in required if name not in properties]:
        raise _refused(f"`required` {missing[0]!r}, which `properties` does not hold")
    if isinstance(schema.get("additionalProperties"), Mapping):
        raise _refused("`additionalProperties` as a schema")
    fields = tuple(
        (_compact(name), _node(each), name in required) for name, each in properties.items()
    )
    return _Object(fields, free=not fields and schema.get("additionalProperties") is not False)


def _only(given: set[str], known: set[str]) -> None:
    if unknown := sorted(given - known):
        raise _refused(f"`{unknown[0]}`")


def _refused(what: str) -> ModelError:
    return ModelError(
        f"response_format: a reply cannot be held to {what} of the schema; leave it out and check"
        " the reply yourself",
        "bad_request",
    )


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
