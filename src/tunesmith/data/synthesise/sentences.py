"""Sentences of a passage: a short rule of thumb for European scripts, and the full stop of Chinese and Japanese."""

import re

_ENDS = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-ZÀ-ÖØ-Þ\d])|(?<=[。！？])|\n\s*\n|\n(?=\s*(?:[-*•#]|\d+[.)])\s)")
_SHORT = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|nr|fig|figs|eq|sec|vol|pp|vs|etc|cf|ca|approx|inc|ltd|co|jr|sr|e\.g|i\.e|u\.s|u\.k)|\b[A-Z])\.$",
    re.IGNORECASE,
)
"""Ends that end no sentence: abbreviations, initials."""
_LONGEST_SHORT = 12
_LEAST, _MOST = 6, 45
_CLUTTER = re.compile(r"[<>{}|\\^~\t`]|https?:|_{2,}|\.{4,}|[=#*]{2,}")
_LEANING = frozenset(
    ("it", "its", "this", "that", "these", "those", "they", "their", "he", "she", "his", "her", "such", "here", "there", "however")
)


def sentences(text: str) -> list[str]:
    """The sentences in order, white space tidied."""
    found: list[list[str]] = []
    for part in _ENDS.split(text):
        words = " ".join(part.split())
        if found and words and _SHORT.search(found[-1][-1][-_LONGEST_SHORT:]):
            found[-1].append(words)
        elif words:
            found.append([words])
    return [" ".join(parts) for parts in found]


def stands_alone(sentence: str) -> bool:
    """Whether a sentence can be understood and answered without its neighbours: whole, of fair length, without code or a leaning first word."""
    words = sentence.split()
    first = words[0].strip("\"'“‘([,").casefold() if words else ""
    whole = sentence.rstrip("\"'”’)]").endswith((".", "!", "。", "！")) and not sentence.rstrip().endswith("...")
    return whole and _LEAST <= len(words) <= _MOST and first not in _LEANING and not _CLUTTER.search(sentence)
