"""Where a request goes and by whose key; what nobody else may read is not part of an address."""

import os
import re

_LOGIN = re.compile(r"(?:(?<=//)|(?<=@))[^@/]*@")


def bare(url: str) -> str:
    """Give a URL, or a model's name with one, without its user and password."""
    return _LOGIN.sub("", url)


def key(name: str) -> str:
    """Give a key of the environment, "" where it is not set; a file may have left its newline."""
    return os.environ.get(name, "").strip()
