"""A text cut into passages, each of which is read by itself: where a sentence ends, at a blank line, or at a line break when it is long.

The cuts depend on the text alone, not on the pieces it came in. A text without any is one passage, and is held back whole.
"""

import re

SHORTEST = 60
"""Characters of a passage that ends with a sentence."""
LONG = 240
"""Characters from which a line break ends a passage."""
_BREAK = re.compile(r"(?:\n[^\S\n]*\n|[.!?…][\"'”’)\]*]{0,3}\s|\n)\s*(?=\S)")
_SHORT = re.compile(
    r"(?:\b(?:[A-Z][^\W\d_]{0,2}|Prof|Capt|e\.g|i\.e|(?i:no|nr|tel|ext|st|rd|ave|str|apt|vs|ca|approx))|\d)\.[\"'”’)\]*]{0,3}\s\Z"
)
"""A dot behind a short word with a capital, a digit or one of these may be an abbreviation's: Mr., J., 3., tel."""
_KEY, _KEY_END = "-----BEGIN ", "-----END "


def passages(text: str) -> list[tuple[int, int]]:
    """Start and end of each passage; the last may go on."""
    found: list[tuple[int, int]] = []
    start = 0
    for match in _BREAK.finditer(text):
        if match.end() > start and _breaks(text, start, match):
            found.append((start, match.end()))
            start = match.end()
    if start < len(text):
        found.append((start, len(text)))
    return found


def whole_passages(text: str) -> int:
    """Characters of the passages that are complete."""
    found = passages(text)
    return found[-1][0] if found else 0


def _breaks(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a passage ends at this break; never inside a key in a block of its own."""
    mark = match.group()
    size = match.end() - start
    blank = mark.count("\n") > 1
    if mark[0] not in "\n" and not blank:
        first = re.match(r"[.!?…][\"'”’)\]*]{0,3}\s", mark)
        assert first is not None
        abbreviated = mark[0] == "." and _SHORT.search(text, max(start, match.start() - 12), match.start() + first.end())
        if size < SHORTEST or abbreviated:
            return "\n" in mark and size >= LONG
    elif not blank and size < LONG:
        return False
    last = text.rfind(_KEY, start, match.end())
    return last < 0 or text.find(_KEY_END, last, match.end()) >= 0
