"""Tokens as their sources report them, as one `Usage` whose ten buckets are disjoint.

Sources disagree on what a total includes; each function says what its own does. A count that
does not add up sets `flag` and never raises: the reply is the user's, the doubt is the ledger's.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genai.types import Usage

_MOST = 2**31  # tokens of one call; more is a fault of the source, and no money for it fits a row
_EMPTY: dict[str, Any] = {}
_INWARD = ("read", "write_5m", "write_1h", "audio_in", "image_in")
_OUTWARD = ("reasoning", "audio_out", "image_out")


def openai_usage(raw: Any) -> Usage:
    """Read OpenAI's chat or Responses usage; both totals include their details, xAI's no thoughts.

    LiteLLM's `Usage` has the same shape, with Anthropic's counts added up and its searches beside.
    """
    quick = _plain(raw)
    if quick is not None:
        return quick
    raw = _mapping(raw)
    chat = "prompt_tokens" in raw or "completion_tokens" in raw
    names = ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    into = _mapping(raw.get("prompt_tokens_details" if chat else "input_tokens_details"))
    out = _mapping(raw.get("completion_tokens_details" if chat else "output_tokens_details"))
    split = _mapping(into.get("cache_creation_token_details"))
    written = into.get("cache_write_tokens", into.get("cache_creation_tokens"))
    write_5m, write_1h, doubt = _split(
        written, split.get("ephemeral_5m_input_tokens"), split.get("ephemeral_1h_input_tokens")
    )
    said, total = raw.get(names[1]), raw.get("total_tokens")
    thought = _int(out.get("reasoning_tokens"))
    if thought and total == _int(raw.get(names[0])) + _int(said) + thought:
        said = _int(said) + thought  # xAI counts thoughts beside the completion
    searches = _int(_mapping(raw.get("server_tool_use")).get("web_search_requests"))
    found = checked(
        input_total=raw.get(names[0]),
        output_total=said,
        total=total,
        read=into.get("cached_tokens"),
        write_5m=write_5m,
        write_1h=write_1h,
        audio_in=into.get("audio_tokens"),
        image_in=into.get("image_tokens"),
        reasoning=out.get("reasoning_tokens"),
        audio_out=out.get("audio_tokens"),
        image_out=out.get("image_tokens"),
        flag=doubt,
    )
    return replace(found, fees=(("web_search", searches),)) if searches else found


def _plain(raw: Any) -> Usage | None:
    """Read the usual chat usage, sound and with no part but cached and reasoning, at once."""
    if type(raw) is not dict:
        return None
    inward, outward = raw.get("prompt_tokens"), raw.get("completion_tokens")
    into = raw.get("prompt_tokens_details") or _EMPTY
    out = raw.get("completion_tokens_details") or _EMPTY
    if type(inward) is not int or type(outward) is not int or type(into) is not dict:
        return None
    if type(out) is not dict or raw.get("total_tokens") != inward + outward:
        return None
    if raw.get("server_tool_use"):
        return None
    cached, thought = into.get("cached_tokens") or 0, out.get("reasoning_tokens") or 0
    for key, part in (*into.items(), *out.items()):
        if part and key not in ("cached_tokens", "reasoning_tokens"):
            return None  # parts may overlap, so they are checked
    if type(cached) is int and type(thought) is int:
        if 0 <= cached <= inward < _MOST and 0 <= thought <= outward < _MOST:
            return Usage(inward, outward, cached, "provider", 0, 0, 0, 0, thought)
    return None


def langchain_usage(raw: Any) -> Usage:
    """Read LangChain's `usage_metadata`; totals include details that need not sum to them."""
    raw = _mapping(raw)
    into = _mapping(raw.get("input_token_details"))
    out = _mapping(raw.get("output_token_details"))
    # where Anthropic's writes are split by lifetime, LangChain says 0 for their sum
    five, hour = into.get("ephemeral_5m_input_tokens"), into.get("ephemeral_1h_input_tokens")
    written = _in_tier(into, "cache_creation") or _int(five) + _int(hour)
    write_5m, write_1h, doubt = _split(written, five, hour)
    return checked(
        input_total=raw.get("input_tokens"),
        output_total=raw.get("output_tokens"),
        total=raw.get("total_tokens"),
        read=_in_tier(into, "cache_read"),
        write_5m=write_5m,
        write_1h=write_1h,
        audio_in=into.get("audio"),
        reasoning=_in_tier(out, "reasoning"),
        audio_out=out.get("audio"),
        flag=doubt,
    )


def _in_tier(details: Mapping[str, Any], name: str) -> Any:
    """Give a detail; LangChain begins its key with the service tier where that is not the usual."""
    keys = (name, f"flex_{name}", f"priority_{name}")
    return next((details[key] for key in keys if details.get(key)), 0)


def checked(
    *, input_total: Any, output_total: Any, total: Any = None, flag: str = "", **parts: Any
) -> Usage:
    """Make a Usage of what a source said; parts that do not fit are cut, and flagged."""
    if input_total is None and output_total is None:
        return Usage(flag=flag or "no_count")
    given = {name: value for name, value in parts.items() if value}
    inward, outward = _int(input_total), _int(output_total)
    counts = {name: _int(value) for name, value in given.items()} if given else given
    strange = (inward != (input_total or 0)) or (outward != (output_total or 0))
    if strange or counts != given:
        flag = flag or "not_a_count"
    if total is not None and inward + outward != total:
        flag = flag or "total_differs"
    if counts:
        flag = _cut(counts, _INWARD, inward) or flag
        flag = _cut(counts, _OUTWARD, outward) or flag
    get = counts.get
    return Usage(
        inward, outward, get("read", 0), "provider", get("write_5m", 0), get("write_1h", 0),
        get("audio_in", 0), get("image_in", 0), get("reasoning", 0), get("audio_out", 0),
        get("image_out", 0), flag=flag,
    )  # fmt: skip


def _cut(counts: dict[str, int], names: tuple[str, ...], most: int) -> str:
    """Cut parts to a total; say so where that was needed."""
    left, flag = most, ""
    for name in names:
        if name in counts:
            if counts[name] > left:
                counts[name], flag = left, "parts_exceed_total"
            left -= counts[name]
    return flag


def _split(written: Any, five: Any, hour: Any) -> tuple[int, int, str]:
    """Split cache writes by lifetime; what the split leaves out is priced at the 5-minute rate."""
    total = _int(written)
    if five is None and hour is None:
        return total, 0, ""
    short, long = _int(five), min(_int(hour), total)
    return total - long, long, "" if short + long == total else "cache_split_differs"


def _mapping(value: Any) -> Mapping[str, Any]:
    if type(value) is dict:
        return value
    if isinstance(value, Mapping):
        return value
    return getattr(value, "__dict__", None) or {}


def _int(value: Any) -> int:
    """Give a count; what is none is 0 here, and flagged by `checked`."""
    return value if type(value) is int and 0 <= value < _MOST else 0
