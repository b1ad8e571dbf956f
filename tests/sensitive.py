"""A loopback model that is sensitive to its prompt, on purpose and in one way.

It quotes the passage sentence that shares most words with the question, if the system turn asks for
the wording of the passages. Without that line it talks in words of its own, which nothing supports.
A rewording that keeps the line changes nothing but its mood: for one pair of prompt and question
in 25 it quotes the second-best sentence instead of the best, as sampling would.
"""

import hashlib
import re
from typing import Any

_PASSAGE = re.compile(r"\[(\d+)\] <passage (\w+)>\n(.*?)\n</passage \2>", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w{4,}")


def sensitive(body: dict[str, Any]) -> str:
    """Give the reply to a chat request."""
    system = "".join(m["content"] for m in body["messages"] if m["role"] == "system")
    user = body["messages"][-1]["content"]
    question = user.rpartition("Question:")[2].strip()
    wanted = {word.lower()[:5] for word in _WORD.findall(question)}
    ranked = sorted(
        (
            (-len(wanted & {w.lower()[:5] for w in _WORD.findall(sentence)}), int(number), sentence)
            for number, _, text in _PASSAGE.findall(user)
            for sentence in _SENTENCE.split(text)
            if len(sentence) > 20 and not sentence.startswith(("#", "|", "`"))
        ),
    )
    if not ranked or ranked[0][0] == 0:
        return "NO_ANSWER"
    mood = int(hashlib.sha256(f"{system}\n{question}".encode()).hexdigest(), 16)
    _, number, sentence = ranked[1 if mood % 25 == 0 and len(ranked) > 1 else 0]
    if not re.search(r"\bword", system):
        return "Broadly speaking, colleagues usually handle such matters case by case."
    return f"{sentence.strip()} [{number}]"
