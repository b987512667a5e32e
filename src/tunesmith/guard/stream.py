"""A filter over a text that comes in pieces: lets out what is settled, keeps back what may yet be part of something unwanted.

What comes out does not hang on how the text was cut, and is what reading the whole text gives. Of what is redacted or blocked no
character is let out. Where something blocks, what stands before it is let out and nothing after; a mark changes nothing. What two rules
find over one another is one place, under the name of the one that begins first; it blocks if either does.

Text is read once, so the time grows with the text. It is kept from the last settled place on, with `BEHIND` characters before it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tunesmith.guard.finding import BEHIND, Finding, Rule

_PATIENCE = 512
"""From so many characters on that are kept back, a rule is asked again only when an eighth has come to them."""


@dataclass(slots=True)
class _Watch:
    """How far one rule has read."""

    rule: Rule
    settled: int = 0
    """Characters of the whole text."""
    ask_at: int = 0


@dataclass(slots=True)
class Filter:
    """Reads one text. Ends with `rest`."""

    rules: Sequence[Rule]
    blocked: str | None = field(default=None, init=False)
    """The rule that ended the text."""
    message: str | None = field(default=None, init=False)
    """What that rule says, where it says something of its own."""
    counts: Counter[str] = field(default_factory=Counter, init=False)
    """Findings let pass, redacted, blocked, by rule."""
    changed: bool = field(default=False, init=False)
    """Whether what came out differs from what went in."""
    _text: str = field(default="", init=False)
    _first: int = field(default=0, init=False)
    """Place in the whole text of the first character that is kept."""
    _out: int = field(default=0, init=False)
    """Characters of the whole text that are let out, or that something stands for."""
    _found: list[Finding] = field(default_factory=list, init=False)
    """Redacted or blocked, not yet let out; in the whole text's places."""
    _watches: list[_Watch] = field(init=False)

    def __post_init__(self) -> None:
        self._watches = [_Watch(rule) for rule in self.rules]

    def more(self, text: str) -> str:
        """What may be said now that this has come too."""
        if self.blocked is not None:
            return ""
        self._text += text
        end = self._first + len(self._text)
        for watch in self._watches:
            if end >= watch.ask_at:
                self._advance(watch, end)
        return self._let_out(min((watch.settled for watch in self._watches), default=end))

    def rest(self, text: str = "") -> str:
        """What may be said of what is left, at the end of the text; `text` is its last piece, or all of it."""
        if self.blocked is not None:
            return ""
        self._text += text
        end = self._first + len(self._text)
        for watch in self._watches:
            self._read(watch, end)
        return self._let_out(end)

    def _advance(self, watch: _Watch, end: int) -> None:
        place = watch.settled + watch.rule.settled(self._text[watch.settled - self._first :])
        if place > watch.settled:
            self._read(watch, place)
        kept = end - watch.settled
        watch.ask_at = end + kept // 8 if kept > _PATIENCE else 0

    def _read(self, watch: _Watch, place: int) -> None:
        """Let a rule read up to a place."""
        start = watch.settled - self._first
        text, behind = self._text[start : place - self._first], self._text[max(0, start - BEHIND) : start]
        watch.settled = place
        for one in watch.rule.find(text, behind) if text else ():
            moved = Finding(one.start + start + self._first, one.end + start + self._first, one.rule, one.action, one.instead, one.message)
            self._found.append(moved)

    def _let_out(self, settled: int) -> str:
        """All up to a place, or to the beginning of a finding that it lies in."""
        self._found.sort(key=lambda one: (one.start, -one.end, one.rule))
        for one in reversed(self._found):
            if one.action != "mark" and one.start < settled < one.end:
                settled = one.start
        parts: list[str] = []
        while self._found and self._found[0].start < settled and self.blocked is None:
            parts += self._next()
        if self.blocked is None and settled > self._out:
            parts.append(self._between(self._out, settled))
            self._out = settled
            self._forget()
        return "".join(parts)

    def _next(self) -> list[str]:
        """The text before the next finding, and what stands for it with all that lie over it."""
        first = self._found.pop(0)
        self.counts[first.rule] += 1
        if first.action == "mark":
            return []
        end, blocks = first.end, [first] if first.action == "block" else []
        marked: list[Finding] = []
        while self._found and self._found[0].start < end:
            other = self._found.pop(0)
            if other.action == "mark":
                marked.append(other)
                continue
            self.counts[other.rule] += 1
            end = max(end, other.end)
            blocks += [other] if other.action == "block" else []
        before = self._between(self._out, first.start)
        self._out, self.changed = end, True
        self._found = [*marked, *self._found]
        if blocks:
            self.blocked, self.message = blocks[0].rule, blocks[0].message
            self._text = ""
            return [before]
        return [before, first.instead]

    def _between(self, start: int, end: int) -> str:
        return self._text[start - self._first : end - self._first]

    def _forget(self) -> None:
        """Let go of what no rule needs any longer."""
        kept = min([self._out, *(watch.settled - BEHIND for watch in self._watches)])
        if kept > self._first:
            self._text = self._text[kept - self._first :]
            self._first = kept
