"""Letters of scripts that set words, numbers and addresses side by side without a space."""

import re

# Thai to Burmese, Hangul's parts, Khmer, Chinese and Japanese with Yi, Hangul, and their
# compatibility and half-width forms
_LETTERS = (
    "\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc"
    "\U00020000-\U0003ffff"
)
# what follows an `@` is a domain in such letters
_RUN = re.compile(f"(?<![@{_LETTERS}])[{_LETTERS}]+")
_MARK = "`"  # ends a word, a number, an address and a value, and is a part of none


def set_apart(text: str) -> str:
    r"""Give a text, of the same length, that no such letter makes longer for `\w` and `\b`."""
    return text if text.isascii() else _RUN.sub(lambda run: _MARK * len(run[0]), text)
