"""Thoughts that some servers leave at the start of a reply, between `<think>` and `</think>`.

They are no part of what a model says: it weighs there what it then rejects.
"""

_OPEN, _CLOSE = "<think>", "</think>"


class Thoughts:
    """Takes a reply in pieces, and gives it back without the thoughts that it begins with."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = self._told = False

    def feed(self, piece: str) -> str:
        """Take a piece; give what is said, nothing while it is thought."""
        if self._told:
            return piece
        self._held += piece
        if not self._thinking:
            begin = self._held.lstrip()
            if not begin or (len(begin) < len(_OPEN) and _OPEN.startswith(begin)):
                return ""
            self._thinking = begin.startswith(_OPEN)
            if not self._thinking:
                return self.finish()
        thought, ended, said = self._held.partition(_CLOSE)
        if not ended:  # the rest may hold a part of the mark
            self._held = thought[-len(_CLOSE) :]
            return ""
        self._thinking, self._held = False, ""
        return self.feed(said)

    def finish(self) -> str:
        """Say that the reply has ended; give what was held, which is no thought."""
        said, self._held = "" if self._thinking else self._held, ""
        self._told = True
        return said


def spoken(text: str) -> str:
    """Give a whole reply without the thoughts that it begins with."""
    thoughts = Thoughts()
    return thoughts.feed(text) + thoughts.finish()
