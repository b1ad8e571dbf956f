"""Close a JSON text that was cut off: drop what dangles, end strings, objects and lists."""

import re

_LITERALS = ("true", "false", "null")
_WHOLE = re.compile(r"(?:[^\\]|\\u[0-9a-fA-F]{4}|\\[^u])*", re.DOTALL)
_NUMBER_TAIL = re.compile(r"[-+.eE]+\Z")


def closing(text: str) -> tuple[int, str] | None:
    """Give where to cut and what to put there, so that a cut-off JSON text becomes whole.

    None where the text is broken in a way that cutting does not explain. Linear in the text.
    """
    stack: list[str] = []
    safe: tuple[int, str] | None = None  # the last place where closing the brackets is enough
    position, expects = 0, "value"
    while position < len(text):
        char = text[position]
        if char in " \t\r\n":
            position += 1
            continue
        step = _step(text, position, stack, expects)
        if step is None:
            return None
        after, expects, whole = step
        if after > len(text) or (after == len(text) and not whole):
            return _dangling(text, position, stack, expects, safe)
        position = after
        if expects in ("after", "first"):
            safe = position, "".join(reversed(stack))
    if not stack:
        return (position, "") if expects == "after" else None
    return safe


def _step(text: str, position: int, stack: list[str], expects: str) -> tuple[int, str, bool] | None:
    """Read one token; give where it ends, what may follow, and whether it is whole."""
    char = text[position]
    if char in "]}":
        if not stack or stack[-1] != char or expects not in ("after", "first"):
            return None
        stack.pop()
        return position + 1, "after", True
    if expects == "after":
        return (
            (position + 1, "key" if stack[-1] == "}" else "value", True)
            if (char == "," and stack)
            else None
        )
    if expects == "colon":
        return (position + 1, "value", True) if char == ":" else None
    if char == '"':
        end = _string(text, position)
        in_key = bool(stack) and stack[-1] == "}" and expects in ("key", "first")
        return (abs(end), "colon" if in_key else "after", end > 0)
    if expects == "key" or (expects == "first" and stack[-1] == "}"):
        return None
    return _value(text, position, stack)


def _value(text: str, position: int, stack: list[str]) -> tuple[int, str, bool] | None:
    """Read the beginning of an object or a list, a number or a literal."""
    char = text[position]
    if char in "[{":
        stack.append("]" if char == "[" else "}")
        return position + 1, "first", True
    found = re.compile(r"[-+.\w]+").match(text, position)
    if found is None:
        return None
    word, end = found[0], found.end()
    if word[0] in "-0123456789":
        return end, "after", end < len(text) or not stack
    if word in _LITERALS:
        return end, "after", True
    cut = end == len(text) and any(each.startswith(word) for each in _LITERALS)
    return (end, "after", False) if cut else None


def _string(text: str, position: int) -> int:
    """Give where a string ends; negative where it does not."""
    for found in re.compile(r'\\.|"', re.DOTALL).finditer(text, position + 1):
        if found[0] == '"':
            return found.end()
    return -len(text)


def _dangling(
    text: str, position: int, stack: list[str], expects: str, safe: tuple[int, str] | None
) -> tuple[int, str] | None:
    """Close or drop the last, unfinished token."""
    if expects == "colon":  # a key without its value
        return safe
    brackets = "".join(reversed(stack))
    if text[position] == '"':
        whole_escapes = _WHOLE.match(text, position + 1)
        return (whole_escapes.end() if whole_escapes else len(text)), '"' + brackets
    if text[position] in "-0123456789":
        tail = _NUMBER_TAIL.search(text, position)
        cut = tail.start() if tail else len(text)
        return (cut, brackets) if cut > position else safe
    word = text[position:]
    whole = next(each for each in _LITERALS if each.startswith(word))
    return len(text), whole[len(word) :] + brackets
