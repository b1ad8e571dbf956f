"""Where a request goes and by whose key; what nobody else may read is not part of an address."""

import os


def bare(url: str) -> str:
    """Give a URL without its user and password."""
    scheme, mark, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{mark}{place.rpartition('@')[2]}{slash}{path}"


def key(name: str) -> str:
    """Give a key of the environment, "" where it is not set; a file may have left its newline."""
    return os.environ.get(name, "").strip()
