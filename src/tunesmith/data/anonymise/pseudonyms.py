"""Stand-ins of the same shape as what they stand for, by kind. One that stands in already is left as it is (dates of birth aside).

Every stand-in is nobody's: names are invented, numbers lie where none are given out, domains and networks are those kept for examples.
Numbers of d free digits meet by chance: among n of one form two share a stand-in with a probability of about n * n / (2 * 10 ** d).
"""

import ipaddress
import re
from collections.abc import Callable

from tunesmith.data.anonymise.draws import Draws, stands_in
from tunesmith.data.anonymise.money import luhn
from tunesmith.data.anonymise.person_words import PARTICLES
from tunesmith.data.anonymise.streets import ENDINGS, INWARD, LONE_OPENINGS, MORE_ENDINGS
from tunesmith.data.anonymise.word_lists import words

_LETTERS = re.compile(r"[^\W\d_]+")
_HUMPS = re.compile(r"[^\W\d_a-z]?[a-zß-ÿ]+|[^\W\d_]+")
_EXAMPLE = re.compile(r"(?:\A|[./@])example\.(?:org|com|net)(?:[/:?#]|\Z)", re.IGNORECASE)
_PLAIN_WORDS = frozenset(
    [
        *ENDINGS,
        *MORE_ENDINGS,
        *INWARD,
        *(opening.replace("\\", "").strip(".") for opening in LONE_OPENINGS.split("|")),
        *words(
            "suite apt apartment unit flat floor room box po p o postbox psc apo dpo fpo the of and corner de la le du des van der den nan street streets no zip code"
        ),
    ]
)
_MONTHS = words("january february march april may june july august september october november december")


class Pseudonyms:
    """The stand-ins of one key."""

    def __init__(self, key: bytes) -> None:
        self.draws = Draws(key)
        self._by_kind: dict[str, Callable[[str], str]] = {
            "person": self._person,
            "email": self._email,
            "phone": self._phone,
            "address": self._address,
            "card": self._card,
            "iban": self._iban,
            "id": self._id,
            "ip": self._ip,
            "url": self._url,
            "birth_date": self._birth_date,
        }

    def of(self, kind: str, value: str) -> str:
        """The stand-in of a value.

        Raises:
            KeyError: secrets have none.
        """
        return self._by_kind[kind](value)

    def _person(self, value: str) -> str:
        """Word for word; particles stay, initials become other letters, also where the name is spelt with hyphens or apostrophes."""
        words = [word for word in _LETTERS.findall(value) if len(word) > 1 and word not in PARTICLES]
        if words and all(stands_in(word) for word in words):
            return value
        parts = re.sub(r"[^\W\d_]+(?:['’][^\W\d_]+)*", lambda match: self._name(match.group()), value)
        return parts if parts != value else self.draws.like(value)

    def _name(self, word: str) -> str:
        if word in PARTICLES:
            return word
        if len(word) == 1:
            letter = chr(97 + (ord(word.lower()) + 1 + self.draws.number("initial") % 25 - 97) % 26)
            return letter.upper() if word.isupper() else letter
        return self.draws.word(word)

    def _email(self, value: str) -> str:
        local, _, domain = value.rpartition("@")
        return value if _EXAMPLE.search(domain) else f"{self._handle(local)}@{self._host(domain)}"

    def _handle(self, local: str) -> str:
        """The part before the @: each of its words as a name, so that it fits the person's stand-in."""

        def drawn(match: re.Match[str]) -> str:
            piece = match.group()
            if piece.isdigit() or len(piece) < 3:
                return self.draws.like(f"{local} {piece}")[-len(piece) :]
            return self.draws.word(piece)

        return re.sub(rf"\d+|{_HUMPS.pattern}", drawn, local)

    def _host(self, host: str) -> str:
        return self.draws.word(host.lower().removeprefix("www.")).lower() + ".example.org"

    def _url(self, value: str) -> str:
        scheme, mark, rest = value.rpartition("://") if "://" in value[:12] else ("", "", value)
        host, path = re.match(r"([^/?#]*)(.*)\Z", rest, re.DOTALL).groups()  # type: ignore[union-attr]  # matches any text
        if _EXAMPLE.search(host):
            return value
        www = "www." if host.lower().startswith("www.") else ""
        return f"{scheme}{mark}{www}{self._host(host)}" + (f"/{self.draws.word(path).lower()}" if len(path) > 1 else path)

    def _phone(self, value: str) -> str:
        land = re.match(r"\+\d{1,3}(?=\D)|\+\d\d|", value).group()  # type: ignore[union-attr]  # matches the empty text too
        return land + self._zeroed(value[len(land) :])

    def _zeroed(self, value: str, zeros: int = 3) -> str:
        """Other digits and letters behind that many zeros; a value that has them stands in already."""
        digits = re.sub(r"\D", "", value)
        return value if digits[:zeros] == "0" * min(zeros, len(digits)) else self.draws.like(value, zeros)

    def _id(self, value: str) -> str:
        return self._zeroed(value)

    def _card(self, value: str) -> str:
        drawn = self._zeroed(value, 4)
        places = [place for place, sign in enumerate(drawn) if sign.isdigit()]
        digits = [drawn[place] for place in places]
        check = next(digit for digit in "0123456789" if luhn("".join([*digits[:-1], digit])))
        return drawn[: places[-1]] + check + drawn[places[-1] + 1 :]

    def _iban(self, value: str) -> str:
        return value if value[2:4] == "00" else value[:2] + "00" + self.draws.like(value)[4:]

    def _ip(self, value: str) -> str:
        found = ipaddress.ip_address(value)
        number = self.draws.number("ip", found.exploded)
        if found.version == 4:
            apart = ipaddress.IPv4Network("198.18.0.0/15")
            return value if found in apart else str(apart[number % apart.num_addresses])
        documents = ipaddress.IPv6Network("2001:db8::/32")
        return value if found in documents else str(documents[number % documents.num_addresses])

    def _address(self, value: str) -> str:
        """Names by stand-ins, digits by others; where it has no name, its digits begin with zeros."""
        names = [word for word in _LETTERS.findall(value) if _is_name(word)]
        if not names:
            return self._zeroed(value)
        if all(stands_in(word) for word in names):
            return value
        shape = self.draws.like(value)

        def drawn(match: re.Match[str]) -> str:
            piece = match.group()
            if _is_name(piece):
                return self.draws.word(piece)
            return shape[match.start() : match.end()] if any(map(str.isdigit, piece)) else piece

        return re.sub(r"[^\W_]*\d[^\W_]*|[^\W\d_]+", drawn, value)

    def _birth_date(self, value: str) -> str:
        """Another year within two, another month and day; written as it was."""
        number = self.draws.number("date", value)

        def drawn(match: re.Match[str]) -> str:
            piece = match.group()
            step = number >> (5 * match.start() % 96)
            if len(piece) == 4 and piece.isdigit():
                return str(int(piece) + (-2, -1, 1, 2)[step % 4])
            if piece.isdigit():
                return str((int(piece) - 1 + 1 + step % 10) % 12 + 1).zfill(len(piece))[-len(piece) :]
            return _other_month(piece, step)

        return re.sub(rf"\d+|(?i:{'|'.join(month[:3] + '[a-z]*' for month in _MONTHS)})", drawn, value)


def _is_name(word: str) -> bool:
    return len(word) > 2 and word.isalpha() and word.lower() not in _PLAIN_WORDS


def _other_month(word: str, step: int) -> str:
    here = next(place for place, month in enumerate(_MONTHS) if word.lower().startswith(month[:3]))
    other = _MONTHS[(here + 1 + step % 11) % 12]
    other = other if len(word) > 3 or word.lower() == "may" else other[:3]
    return other.capitalize() if word[0].isupper() else other
