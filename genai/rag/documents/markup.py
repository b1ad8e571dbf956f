"""HTML to Markdown: what a reader sees, and nothing that runs."""

import re
from typing import Any

from genai import extras
from genai.rag.documents.encoding import decode
from genai.rag.documents.parsed import Parsed
from genai.text.terms import unprinted

_NOT_TEXT = {
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "canvas",
}  # fmt: skip
_CELLS = {"p", "td", "th"}
_CLOSES = {  # the open tags whose end may be left out before a tag
    "p": {"p"}, "li": {"p", "li"}, "dt": {"p", "dt", "dd"}, "dd": {"p", "dt", "dd"},
    "td": _CELLS, "th": _CELLS, "tr": {*_CELLS, "tr"}, "option": {"option"},
}  # fmt: skip
_DEEPEST = 200
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_RUNS = re.compile(r"[\x00-\x20]*(?:javascript|vbscript|data)\s*:", re.IGNORECASE)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w-]{2,40})", re.IGNORECASE)


def read_html(name: str, source: bytes) -> Parsed:
    """Read a page. Raises `DocumentError`."""
    charset = _CHARSET.search(source[:4096])
    text, notes = decode(name, source, charset[1].decode("ascii", "ignore") if charset else "")
    soup = _soup(_with_ends(text))
    hidden = False
    for tag in soup.find_all(True):
        if tag.decomposed:
            continue
        unseen = tag.has_attr("hidden") or bool(_UNSEEN.search(_attribute(tag, "style")))
        hidden = hidden or (unseen and bool(tag.get_text(strip=True)))
        if unseen or tag.name in _NOT_TEXT:
            tag.decompose()
        elif _RUNS.match(_attribute(tag, "href")):
            del tag["href"]
    markdownify = extras.load("markdownify", "rag")
    found: str = markdownify.MarkdownConverter(
        heading_style="ATX", strip=["img"], escape_underscores=False, escape_asterisks=False
    ).convert_soup(soup.body or soup)
    if hidden:
        notes = (*notes, "holds text hidden from readers, which was left out")
    return Parsed(unprinted(found).strip() + "\n", notes=notes)


def _with_ends(text: str) -> str:
    """Make text of each beginning of a tag or comment whose end never comes, as the parser would.

    It looks for the end of each through all that follows, which takes hours in a pile of them.
    """
    at = text.rfind("-->") + 1
    text = text[:at] + text[at:].replace("<!--", "&lt;!--")
    at = text.rfind(">") + 1
    return text[:at] + text[at:].replace("<", "&lt;")


def _soup(text: str) -> Any:
    """Parse HTML with the usual end tags left out, and refuse a pile of tags before it is built."""

    class Soup(extras.load("bs4", "rag").BeautifulSoup):  # type: ignore[misc]
        def handle_starttag(self, name: str, *given: Any, **named: Any) -> Any:
            while self.currentTag.name in _CLOSES.get(name, ()):
                self.handle_endtag(self.currentTag.name)
            if len(self.tagStack) > _DEEPEST:
                raise RecursionError
            return super().handle_starttag(name, *given, **named)

    return Soup(text, "html.parser")


def _attribute(tag: Any, key: str) -> str:
    value = tag.get(key, "")
    return value if isinstance(value, str) else " ".join(value)
