"""Documents cut into passages of about so many words: at headings where one comes in time, between paragraphs, and never inside a sentence
unless it is longer than a passage. Every word of a document is in exactly one passage, in order."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tunesmith.data.documents.block import Block
from tunesmith.data.formats import BadLine

_END = re.compile(r"[.!?…][\"”’')\]]*\s+(?=[\"“‘'(\[]?[^\W_a-z])|[。！？]+[」』”]*")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(\[\"“])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Inc|Ltd|Co|No|Fig|Eq|Sec|Art|vs|etc|cf|al|e\.g|i\.e|U\.S|a\.m|p\.m)\.\s*$"
)
_CHARACTERS = 12
"""Characters that count as a word where a script has no spaces between them."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document."""

    text: str
    number: int
    """Where it begins: line, page or paragraph."""
    headings: tuple[str, ...]
    """The headings it stands under, the outermost first."""


@dataclass(slots=True)
class _Held:
    """A passage that is being put together."""

    parts: list[str] = field(default_factory=list)
    words: int = 0
    number: int = 0
    headings: tuple[str, ...] = ()
    has_body: bool = False

    def add(self, text: str, block: Block, headings: tuple[str, ...]) -> None:
        """Take a part; the first says where the passage begins, and the last heading before the first body what it stands under."""
        if not self.parts:
            self.number = block.number
        if not self.has_body:
            self.headings = headings
        self.parts.append(text)
        self.words += count_words(text)
        self.has_body = self.has_body or block.level is None

    def passage(self) -> Passage:
        """The passage as it stands."""
        return Passage("\n\n".join(self.parts), self.number, self.headings)


def count_words(text: str) -> int:
    """Words, or what they would be by length where a script has no spaces."""
    return max(len(text.split()), len(text) // _CHARACTERS if len(text.split()) < len(text) // (4 * _CHARACTERS) else 0)


def passages(blocks: Iterable[Block | BadLine], words: int) -> Iterator[Passage | BadLine]:
    """Yield passages in order; a heading begins a new one where the one before has a third of its words."""
    held = _Held()
    path: list[tuple[int, str]] = []
    for block in blocks:
        if isinstance(block, BadLine):
            yield block
            continue
        if block.level == 0:
            continue
        if block.level is not None:
            path = [one for one in path if one[0] < block.level] + [(block.level, " ".join(block.text.split()))]
        headings = tuple(text for _, text in path)
        for part in _parts(block, words):
            full = held.words + count_words(part) > words
            due = full if block.level is None else full or 3 * held.words >= words
            if held.has_body and due:
                yield held.passage()
                held = _Held()
            held.add(part, block, headings)
    if held.parts:
        yield held.passage()


def _parts(block: Block, words: int) -> Iterator[str]:
    """A block whole, or where it has more words than a passage in pieces."""
    if count_words(block.text) <= words:
        yield block.text
        return
    pieces = block.text.splitlines(keepends=True) if block.verbatim else list(sentences(block.text))
    yield from _packed([small for piece in pieces for small in _chopped(piece, words)], words)


def _packed(pieces: list[str], words: int) -> Iterator[str]:
    """Neighbours together as long as they stay within so many words."""
    held, count = "", 0
    for piece in pieces:
        size = count_words(piece)
        if held and count + size > words:
            yield held.strip("\n ")
            held, count = "", 0
        held, count = held + piece, count + size
    if held.strip():
        yield held.strip("\n ")


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, each with the space behind it: together they are the text."""
    start = 0
    for match in _END.finditer(text):
        if not _ABBREVIATED.search(text[max(start, match.end() - 16) : match.end()]):
            yield text[start : match.end()]
            start = match.end()
    if start < len(text):
        yield text[start:]


def _chopped(piece: str, words: int) -> Iterator[str]:
    """A sentence, or one that is longer than a passage between its words (by length where it has none)."""
    if count_words(piece) <= words:
        yield piece
        return
    tokens = re.findall(rf"\S{{1,{words * _CHARACTERS}}}\s*", piece)
    yield from (token + " " for token in _packed(tokens, words))
