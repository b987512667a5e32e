"""Remains of HTML in text: entities that should be characters, tags and comments that should not be there.

What stays, since it may be meant: everything in ``` fences and between backticks; every row of which one text is about HTML or
is a document (`is_meant`); every text that looks like code; names that are no HTML element (`<unk>`, `<name>`), `a < b`,
`Map<i>`; a text of nothing but tags. `<br>`, `<p>` and other blocks become a line break, other tags nothing.
Costs one search of a text that holds `&` or `<`; nothing for others.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from html.entities import name2codepoint

Edit = tuple[int, int, str]
"""Characters `start` to `end - 1` of a text, and what is written for them."""

CODE = re.compile(r"(^[ \t]*```.*?(?:^[ \t]*```[ \t]*$|\Z)|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
"""Fenced blocks, and what stands between two backticks of one line."""
_BLOCKS = "br|p|div|hr|li|ul|ol|tr|table|tbody|thead|h[1-6]|blockquote|section|article|header|footer|center|dl|dt|dd"
_INLINE = "b|i|u|a|em|strong|span|font|small|big|sub|sup|strike|del|ins|td|th|img|cite|abbr|wbr|tt|nobr|label"
_ATTRIBUTE = r"""\s+[A-Za-z][\w:.-]*\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=]+)"""
_TAG = re.compile(rf"<!--[^<>]*-->|<(/?)({_BLOCKS}|{_INLINE})((?:{_ATTRIBUTE})*)\s*/?>", re.IGNORECASE)
_BLOCK = re.compile(rf"(?:{_BLOCKS})\Z", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:amp;)*(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8}[1-4]{0,2});")
_MARKS = (
    "amp lt gt quot apos nbsp iexcl cent pound yen sect copy laquo shy reg deg plusmn sup1 sup2 sup3 micro para middot ordm ordf raquo "
    "frac14 frac12 frac34 iquest times divide ensp emsp thinsp zwnj zwj lrm rlm ndash mdash lsquo rsquo sbquo ldquo rdquo bdquo dagger "
    "Dagger bull hellip permil lsaquo rsaquo euro trade rarr larr OElig oelig Scaron scaron Yuml"
)
_NAMED = frozenset(_MARKS.split()) | {name for name, point in name2codepoint.items() if 192 <= point <= 255 and point not in (215, 247)}
"""Marks and letters of text. Signs of formulas (`&sum;`, `&int;`) stay: C writes addresses that way."""
_DOCUMENT = re.compile(r"<!doctype|<\?(?:xml|php)|</?(?:html|head|body|script|style|svg|form|button|input|pre|code)\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:x?html5?|xml|css|jsx|markup|web ?pages?)\b|[>;][\"'`]? (?:tag|element|entit)|\b(?:tags?|elements?|entit(?:y|ies)) [\"'`]?[<&]",
    re.IGNORECASE,
)
_STATEMENT = re.compile(r"[;{}][ \t]*$", re.MULTILINE)
_ALONE = frozenset(["br", "hr", "img", "wbr", "li", "div"])
"""Elements often left open, and named so that they are nothing else."""
_MANY_ELEMENTS = 6


def is_meant(text: str) -> bool:
    """Whether a text is about HTML or is a document of it: then markup in it, and in the rest of its row, is no remains.

    True where it holds a doctype or an element that plain text never leaves behind (`<script>`, `<form>`, `<code>`), six or
    more different elements, or markup beside a word such as HTML or CSS, or called a tag or an entity.
    """
    if "<" not in text and "&" not in text:
        return False
    if _DOCUMENT.search(text):
        return True
    elements = {match[2].casefold() for match in _TAG.finditer(text) if match[2]}
    if len(elements) >= _MANY_ELEMENTS:
        return True
    return bool((elements or _ENTITY.search(text)) and _ABOUT.search(text))


def edits(text: str) -> list[Edit]:
    """What is to be changed, in order and apart; nothing where the text looks like code or has no remains."""
    found = [] if "<" not in text else _tag_edits(text)
    if "&" in text:
        found += _entity_edits(text, found)
    if not found or _looks_like_code(text):
        return []
    found = _outside_code(text, sorted(found))
    return [] if not applied(text, found).strip() else found


def applied(text: str, found: list[Edit]) -> str:
    """The text with its edits made."""
    parts, at = [], 0
    for start, end, instead in found:
        parts += [text[at:start], instead]
        at = end
    return "".join([*parts, text[at:]])


def drop_remains(text: str) -> str:
    """The text without remains of HTML; the same where there are none."""
    return applied(text, edits(text)) if "&" in text or "<" in text else text


def _tag_edits(text: str) -> list[Edit]:
    """Tags and comments. Of inline elements an opening tag counts only where it is also closed: `Map<i>` is none."""
    matches = list(_TAG.finditer(text))
    closed = {match[2].casefold() for match in matches if match[1]}
    return [(*match.span(), _instead(match)) for match in matches if _is_tag(match, closed)]


def _is_tag(match: re.Match[str], closed: set[str]) -> bool:
    name = (match[2] or "").casefold()
    if not name or match[1] or name in closed or name in _ALONE:
        return True
    return name == "p" and not match.string[match.start() - 1 : match.start()].isalnum()


def _instead(match: re.Match[str]) -> str:
    return "\n" if match[2] and _BLOCK.match(match[2]) else ""


def _entity_edits(text: str, tags: list[Edit]) -> list[Edit]:
    """Entities of text. Those for < and > stay where a tag would come of them: who escaped it wanted it read."""
    matches = [match for match in _ENTITY.finditer(text) if match[1][0] == "#" or match[1] in _NAMED]
    starts = [start for start, _, _ in tags]
    found = [(*match.span(), _character(match[1])) for match in matches if not _is_within(match.start(), tags, starts)]
    if any(mark in "<>" for _, _, mark in found) and _TAG.search(applied(text, sorted([*found, *tags]))):
        return [edit for edit in found if edit[2] not in "<>"]
    return found


def _is_within(place: int, tags: list[Edit], starts: list[int]) -> bool:
    before = bisect_right(starts, place) - 1
    return before >= 0 and place < tags[before][1]


def _character(name: str) -> str:
    """The character an entity stands for; a space for those that only keep words together; nothing for one that isn't any."""
    character = html.unescape(f"&{name};")
    if character in "\u00a0\u2002\u2003\u2009":
        return " "
    return character if character.isprintable() or character in "\n\t\u200c\u200d" else ""


def _looks_like_code(text: str) -> bool:
    """Whether two lines or more outside code blocks end as statements do, with none of these an entity."""
    if "\n" not in text:
        return False
    return sum(1 for _ in _STATEMENT.finditer(_ENTITY.sub("", CODE.sub("", text)))) > 1


def _outside_code(text: str, found: list[Edit]) -> list[Edit]:
    """The edits that touch no code block."""
    if "`" not in text:
        return found
    blocks = _spans(text)
    low, high = next(blocks, (len(text), len(text)))
    kept = []
    for edit in found:
        while high <= edit[0]:
            low, high = next(blocks, (len(text) + 1, len(text) + 1))
        if edit[1] <= low:
            kept.append(edit)
    return kept


def _spans(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in CODE.finditer(text))
