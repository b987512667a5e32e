"""Foreign text as it may be shown: nothing in it can act, and nothing in it can hide.

Rows come from anywhere. A right-to-left override would turn a label around on the page, an escape code would paint the
terminal, a zero-width space would make two labels look alike. Such characters are written out as ⟨U+202E⟩; HTML's own
characters are left alone here, since the page's autoescaping takes care of those.
"""

import re
import unicodedata

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS and the like, up to their end
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI as one character
    r"|\x1b[ -/]*[0-~]",  # two-character escapes
    re.DOTALL,
)
_PLAIN = re.compile(r"[\n\x20-\x7e]*")
_REPEATED = re.compile(r"(⟨U\+[0-9A-F]{4,6}⟩)\1+")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_MEANT = frozenset("\n\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")
"""Characters of those categories that writing systems and emoji need: joiners, Arabic and Syriac number signs."""
_MARKS = 4
"""So many combining marks may stand on one character, as in Vietnamese or pointed Hebrew; more would climb over the lines above."""


def visible(text: str) -> str:
    """The text with every hidden or directing character written out; line ends are \\n, a tab is four spaces."""
    text = text.replace("\r\n", "\n")
    if _PLAIN.fullmatch(text):
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character == "\t":
            shown.append("    ")
        elif (category in _HIDDEN and character not in _MEANT) or marks > _MARKS:
            shown.append(f"⟨U+{ord(character):04X}⟩")
        else:
            shown.append(character)
    return _REPEATED.sub(_counted, "".join(shown))


def _counted(run: re.Match[str]) -> str:
    """Many of the same as one with their number: `⟨U+0316 x57⟩`."""
    return f"{run.group(1)[:-1]} x{len(run.group()) // len(run.group(1))}⟩"


def one_line(text: str, longest: int = 120) -> str:
    """`visible`, on one line, cut to `longest` characters with an ellipsis: for labels, headings and cells."""
    line = " ".join(visible(text[: 8 * longest]).split())
    return line if len(line) <= longest and len(text) <= 8 * longest else line[: longest - 1].rstrip() + "…"


def label(text: str, longest: int = 40) -> str:
    """`one_line` for a label, where nothing at all is a label too: `(empty)`."""
    return one_line(text, longest) or "(empty)"


def passage(text: str, longest: int = 1500) -> tuple[str, int]:
    """`visible`, cut to `longest` characters read; and how many characters were left out."""
    return visible(text[:longest]), max(0, len(text) - longest)


def for_terminal(text: str, longest: int = 400) -> str:
    """One line without escape codes. Rich markup in it stays as it was written: give it to `rich.text.Text`, never to a markup parser."""
    return one_line(_ANSI.sub("", text), longest)
