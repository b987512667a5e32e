"""Messages of customers who do not exist: templates, clauses and slots become sentences, from a seeded stream of numbers.

Only `Random.random` is used, the one method whose sequence Python promises not to change.
"""

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TypeVar

HERE = Path(__file__).resolve().parent
CONTEXT_SHARE = 0.15
"""How often a sentence about another, settled matter stands before a template, and how often one stands after it."""

T = TypeVar("T")


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of `options`, each as likely as the others."""
    return options[int(rng.random() * len(options))]


def shuffled(rng: Random, things: Sequence[T]) -> list[T]:
    """`things` in a random order."""
    order = sorted((rng.random(), place) for place in range(len(things)))
    return [things[place] for _, place in order]


def sentences(path: Path) -> list[str]:
    """The lines of a template file that are neither empty nor a comment."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def written_templates(intent: str) -> list[str]:
    """The templates of an intent that were written whole, by hand."""
    return sentences(HERE / "templates" / f"{intent.replace(' ', '_')}.txt")


def template_id(text: str) -> str:
    """A name that tells nothing of the intent and stays when other templates are added."""
    return sha256(text.encode()).hexdigest()[:8]


def fold(text: str) -> str:
    """The text without regard to case and white space: equal where two messages are exact duplicates."""
    return " ".join(text.casefold().split())


class Filler:
    """Fills slots: products, days, sums, and invented people at reserved domains and phone numbers set aside for drama."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.words: dict[str, list[str]] = json.loads((HERE / "shared" / "slots.json").read_text(encoding="utf-8"))

    def values(self) -> dict[str, str]:
        """One value for each slot; the second of a pair differs from the first, and `amount` is above `amount2`."""
        rng, words = self.rng, self.words
        values = {slot: pick(rng, words[slot]) for slot in ("item", "colour", "day", "ago", "span", "n", "place", "first", "last")}
        for slot in ("item", "colour", "day"):
            values[slot + "2"] = pick(rng, [word for word in words[slot] if word != values[slot]])
        low = 6 + int(rng.random() * 60)
        values["amount2"] = f"£{low}.{pick(rng, ['00', '50', '95', '99'])}"
        values["amount"] = f"£{low + 3 + int(rng.random() * 40)}.{pick(rng, ['00', '20', '50', '95'])}"
        values["street"] = f"{1 + int(rng.random() * 98)} {pick(rng, words['road'])}"
        values["order"] = pick(rng, ["order ", "order no. ", "order number "]) + f"MG-{10000 + int(rng.random() * 89999)}"
        whole = f"{values['first']} {values['last']}"
        values["name"] = pick(rng, [whole, whole, values["first"]])
        ascii_name = "".join(letter for letter in whole.lower().replace(" ", ".") if letter.isascii())
        values["email"] = f"{ascii_name}@{pick(rng, words['mail_host'])}"
        values["phone"] = self.phone()
        return values

    def phone(self) -> str:
        """A number nobody has (Ofcom's drama ranges 01632 960xxx and 07700 900xxx; North America's 555-01xx)."""
        last = f"{int(self.rng.random() * 1000):03d}"
        return pick(self.rng, [f"01632 960{last}", f"07700 900{last}", f"+44 7700 900 {last}", f"555-01{last[1:]}"])


class Composer:
    """Makes templates out of clauses: one matter that is open, among others that are closed or that nobody raised.

    Every intent has clauses of both senses in nearly the same words, so the words of a message say little of its intent and
    their order says it. Closed clauses speak of `{item2}`, which keeps them true beside any open one.
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.frames: dict[str, list[str]] = json.loads((HERE / "frames.json").read_text(encoding="utf-8"))
        self.clauses: dict[str, dict[str, list[str]]] = json.loads((HERE / "clauses.json").read_text(encoding="utf-8"))

    def templates(self, intent: str, count: int) -> list[str]:
        """`count` different templates of one intent."""
        found: dict[str, None] = {}
        while len(found) < count:
            found.setdefault(self.template(intent))
        return list(found)

    def template(self, intent: str) -> str:
        """A frame whose clauses are filled in and whose slots are not; an intent without clauses says that all is settled."""
        first, second, third = shuffled(self.rng, [other for other in self.clauses if other != intent])[:3]
        clauses = {"c": self.clause(first, "closed"), "c2": self.clause(second, "closed"), "x": self.clause(third, "open")}
        if intent in self.clauses:
            frame = pick(self.rng, self.frames["open"])
            clauses["o"] = self.clause(intent, "open")
        else:
            frame = pick(self.rng, self.frames["settled"])
            clauses["s"] = self.clause(third, "closed").replace("{item2}", "{item}").replace("{day2}", "{day}")
        capitals = {name.upper(): clause[0].upper() + clause[1:] for name, clause in clauses.items()}
        return frame.format_map(clauses | capitals)

    def clause(self, intent: str, sense: str) -> str:
        """A clause of an intent: `open` (the matter is what the customer writes about) or `closed`."""
        return pick(self.rng, self.clauses[intent][sense])


class Writer:
    """Makes a message around a template."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.filler = Filler(rng)
        self.openings = sentences(HERE / "shared" / "openings.txt")
        self.context = sentences(HERE / "shared" / "context.txt")
        self.closings = sentences(HERE / "shared" / "closings.txt")

    def message(self, template: str) -> str:
        """A whole message: perhaps a greeting, the template between sentences of no consequence, perhaps a signature."""
        values, others = self.filler.values(), self.filler.values()
        # A sentence of context speaks of another thing and another day, but the same person wrote it.
        others |= {slot: values[slot] for slot in ("street", "name", "email", "phone", "order")}
        opening = self.perhaps(self.openings, 0.4) + self.perhaps(self.context, CONTEXT_SHARE)
        closing = self.perhaps(self.context, CONTEXT_SHARE) + self.perhaps(self.closings, 0.5)
        before, after = ([part.format_map(others) for part in parts] for parts in (opening, closing))
        return self.worn(" ".join([*before, template.format_map(values), *after]))

    def perhaps(self, options: Sequence[str], share: float) -> list[str]:
        """One of `options` in `share` of the cases."""
        return [pick(self.rng, options)] if self.rng.random() < share else []

    def worn(self, text: str) -> str:
        """The text as people type it: now and then no capitals, no apostrophe or a curly one, a slip of the finger."""
        style = self.rng.random()
        if style < 0.10:
            text = text.lower()
        elif style < 0.16:
            text = text.replace("'", "")
        elif style < 0.34:
            text = text.replace("'", "\u2019")
        return slip(self.rng, text) if self.rng.random() < 0.10 else text


def slip(rng: Random, text: str) -> str:
    """The text with two neighbouring letters of one word swapped, or one left out; as it is where no word is long enough."""
    # Never inside an e-mail address: a slip there could name a domain that somebody owns.
    closed = {i for address in re.finditer(r"\S*@\S*", text) for i in range(*address.span())}
    places = [i for i in range(1, len(text) - 2) if text[i - 1 : i + 3].isalpha() and i not in closed]
    if not places:
        return text
    i = pick(rng, places)
    swap = rng.random() < 0.6 and text[i] != text[i + 1]
    return text[:i] + text[i + 1] + (text[i] if swap else "") + text[i + 2 :]
