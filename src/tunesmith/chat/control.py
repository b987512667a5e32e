"""Content never becomes a control token.

A row that holds `<|im_end|>` as text would otherwise end its own turn. Such strings, special tokens and merely
structural ones like `[INST]`, are broken by a zero-width space after their first character: a reader sees the same
text, the tokenizer sees other ids.
"""

import re
from collections.abc import Iterable

BREAK = "\u200b"
_STRUCTURAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|\[/?[A-Z_]{2,30}\]|<</?[A-Z]{2,20}>>|</?[a-z]+_of_[a-z]+>|<｜[^｜<>]{1,40}｜>")


def control_strings(template: str, added_tokens: Iterable[str]) -> frozenset[str]:
    """The strings that content must not hold: the tokenizer's added tokens and the template's own markers.

    Added tokens that are only white space or a single character are text, not control, and stay.
    """
    added = {token for token in added_tokens if len(token.strip()) > 1}
    return frozenset(added | set(_STRUCTURAL.findall(template)))


def neutraliser(strings: frozenset[str]) -> re.Pattern[str] | None:
    """One pattern that finds any of the strings, longest first; None where there are none."""
    if not strings:
        return None
    return re.compile("|".join(re.escape(string) for string in sorted(strings, key=len, reverse=True)))


def neutralise(text: str, pattern: re.Pattern[str] | None) -> tuple[str, int]:
    """Break every control string in `text`; return the text and how many there were.

    Repeats until none is left, since breaking one may leave another that overlapped it.
    """
    count = 0
    while pattern is not None:
        text, found = pattern.subn(lambda match: match.group()[0] + BREAK + match.group()[1:], text)
        count += found
        if not found:
            break
    return text, count
