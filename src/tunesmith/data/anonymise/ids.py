"""National numbers, passports and driving licences. Each country's number is known by its form and its check digit; where the form
is that of any number (nine digits, say), only beside a word that says what it is.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.anonymise.money import luhn
from tunesmith.data.anonymise.seen import Seen

_DIHEDRAL = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_TURNS = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")
_ITALIAN_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21] * 2 + [2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23],
        strict=True,
    )
)


def _weighted(digits: str, weights: str | tuple[int, ...]) -> int:
    """The sum of products, as far as the shorter of the two goes."""
    return sum(int(digit) * weight for digit, weight in zip(digits, map(int, weights), strict=False))


def _american(number: str) -> bool:
    """Areas 000 and 666, group 00 and serial 0000 were never given (SSA); 9xx are taxpayers' numbers of like form (IRS)."""
    return number[:3] not in ("000", "666") and number[3:5] != "00" and number[5:] != "0000"


def _british_health(number: str) -> bool:
    check = 11 - _weighted(number, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return number[9] == ("0" if check == 11 else str(check))


def _german_tax(number: str) -> bool:
    product = 10
    for digit in number[:10]:
        step = (int(digit) + product) % 10 or 10
        product = step * 2 % 11
    return number[0] != "0" and (11 - product) % 10 == int(number[10])


def _spanish(number: str) -> bool:
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == number[-1]


def _french(number: str) -> bool:
    digits = number.replace("2A", "19").replace("2B", "18")
    return digits.isdigit() and 97 - int(digits[:13]) % 97 == int(digits[13:])


def _italian(number: str) -> bool:
    total = sum(
        _ITALIAN_ODD[sign] if place % 2 == 0 else int(sign, 36) - (10 if sign.isalpha() else 0) for place, sign in enumerate(number[:15])
    )
    return chr(65 + total % 26) == number[15]


def _dutch(number: str) -> bool:
    return (_weighted(number, "98765432") - int(number[8])) % 11 == 0


def _belgian(number: str) -> bool:
    return any(97 - int(century + number[:9]) % 97 == int(number[9:]) for century in ("", "2"))


def _polish(number: str) -> bool:
    return (10 - _weighted(number, "1379137913") % 10) % 10 == int(number[10])


def _finnish(number: str) -> bool:
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number[:6] + number[-4:-1]) % 31] == number[-1]


def _norwegian(number: str) -> bool:
    return _weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0 and _weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _brazilian(number: str) -> bool:
    for count in (9, 10):
        check = _weighted(number, tuple(range(count + 1, 1, -1))) * 10 % 11 % 10
        if check != int(number[count]):
            return False
    return len(set(number)) > 1


def _portuguese(number: str) -> bool:
    check = 11 - _weighted(number, "98765432") % 11
    return number[8] == str(0 if check > 9 else check)


def _verhoeff(number: str) -> bool:
    state = 0
    for place, digit in enumerate(reversed(number)):
        state = int(_DIHEDRAL[state][int(_TURNS[place % 8][int(digit)])])
    return state == 0


def _australian(number: str) -> bool:
    return _weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def _swiss(number: str) -> bool:
    return (10 - _weighted(number, "131313131313") % 10) % 10 == int(number[12])


def _chinese(number: str) -> bool:
    return "10X98765432"[_weighted(number[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11] == number[17]


def _czech(number: str) -> bool:
    return int(number) % 11 == 0


def _romanian(number: str) -> bool:
    check = _weighted(number, "279146358279") % 11
    return number[12] == ("1" if check == 10 else str(check))


def _dated(number: str) -> bool:
    """Begins with a day and a month."""
    return 1 <= int(number[:2]) <= 31 and 1 <= int(number[2:4]) <= 12


def _born(number: str) -> bool:
    """Holds year, month and day at its start, and Luhn's check digit at its end (ten digits)."""
    return 1 <= int(number[2:4]) <= 12 and 1 <= int(number[4:6]) <= 91 and luhn(number)


def _any(number: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Form:
    """How a country writes a number of its people."""

    pattern: str
    holds: Callable[[str], bool]
    cue: str = ""
    """Words one of which must stand shortly before it; empty where form and check say enough."""


_FORMS = (
    _Form(r"\d{3}-\d{2}-\d{4}", _american),
    _Form(r"\d{3} ?\d{2} ?\d{4}", _american, r"ssn|social security|itin|tin|taxpayer"),
    _Form(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _any),
    _Form(r"\d{3}[ -]?\d{3}[ -]?\d{4}", _british_health, r"nhs"),
    _Form(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", _german_tax, r"steuer\w*|idnr|tax"),
    _Form(r"[XYZ\d]-?\d{7}-?[A-Z]|\d{8}-?[A-Z]", _spanish),
    _Form(r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _french),
    _Form(r"[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPRST][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]", _italian),
    _Form(r"\d{9}|\d{4}[ .]\d{2}[ .]\d{3}", _dutch, r"bsn|sofi\w*|burgerservicenummer"),
    _Form(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", _belgian),
    _Form(r"\d{11}", _polish, r"pesel"),
    _Form(r"(?:19|20)?\d{6}[-+]\d{4}", lambda number: _born(number[-10:])),
    _Form(r"\d{6}[-+ABCDEFYXWVU]\d{3}[0-9A-FHJ-NPR-Y]", _finnish),
    _Form(r"\d{6}-\d{4}", _dated, r"cpr\w*|personnummer|kennitala"),
    _Form(r"\d{6} ?\d{5}", _norwegian, r"fødselsnummer|fnr|national|personnummer"),
    _Form(r"\d{3}\.\d{3}\.\d{3}-\d{2}", _brazilian),
    _Form(r"\d{11}", _brazilian, r"cpf"),
    _Form(r"\d{3} ?\d{3} ?\d{3}", _portuguese, r"nif|contribuinte"),
    _Form(r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", _verhoeff, r"aadha+r|uidai|uid"),
    _Form(r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", _any),
    _Form(r"\d{3}[ -]\d{3}[ -]\d{3}|\d{9}", luhn, r"sin|social insurance"),
    _Form(r"\d{3} ?\d{3} ?\d{3}", _australian, r"tfn|tax file"),
    _Form(r"756\.?\d{4}\.?\d{4}\.?\d{2}", _swiss),
    _Form(r"[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX]", _chinese),
    _Form(r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z\d]\d", _any),
    _Form(r"\d{6}/\d{4}", _czech),
    _Form(r"[1-8]\d{2}(?:0[1-9]|1[0-2])\d{8}", _romanian, r"cnp"),
    _Form(r"[STFG]\d{7}[A-Z]", _any, r"nric|fin"),
)
_GATE = re.compile(r"(?:\d[ .\-/]?){6}|[A-Za-z]{5}\d{4}|[A-Za-z]{6}[\dL-V]{2}")
"""What every form above holds; it spares most texts the long list."""
_LINKS = r"(?:\W{1,3}(?:no|nr|num|number|nummer|numéro|card|code|id|is|was|of|my|his|her|the)\b)*"
_COMPILED = tuple((re.compile(rf"(?<![\w.\-/])(?:{form.pattern})(?![\w]|[.\-/]\d)", re.IGNORECASE), form) for form in _FORMS)
_CUES = {form.cue: re.compile(rf"\b(?:{form.cue})\b[^.!?\n]{{0,24}}\Z") for form in _FORMS if form.cue}
_ANY_CUE = re.compile("|".join(rf"\b(?:{cue})\b" for cue in _CUES))
_PAPERS = re.compile(
    r"\b(?:(?:driver|driving|drivers)(?:['’]?s)? ?(?:licen[cs]e|permit)|licen[cs]e (?:no|number|#)|dl (?:no|number|#)|passport|"
    r"national id(?:entity|entification)?(?: card)?"
    r"|identity card|id card|ssn|social security|national insurance|tax(?:payer)? id(?:entification)?|tax file|medical record|mrn|medicare|"
    r"medicaid|voter id|resident permit"
    r"|führerschein|reisepass|personalausweis|passeport|pasaporte|dni|nie|curp|codice fiscale|patente)\b"
    rf"[^.!?\n\w]{{0,3}}{_LINKS}[^\w\n]{{0,3}}((?=[A-Z\-]{{0,5}}\d)[A-Z0-9](?:[ \-]?[A-Z0-9]){{4,19}})(?![\w])",
    re.IGNORECASE,
)


def find_ids(seen: Seen) -> Iterator[Finding]:
    """By form and check digit, and whatever number follows the name of a paper that people carry."""
    text = seen.text
    if not seen.digit:
        return
    gated = _GATE.search(text) is not None
    cued = gated and _ANY_CUE.search(seen.low) is not None
    for pattern, form in _COMPILED if gated else ():
        if form.cue and not cued:
            continue
        for match in pattern.finditer(text):
            number = re.sub(r"[^\w]", "", match.group()).upper()
            if form.holds(number) and (not form.cue or _CUES[form.cue].search(seen.before(match.start(), 48))):
                yield Finding(match.start(), match.end(), "id", 0.92)
    for match in _PAPERS.finditer(text):
        start, end = match.span(1)
        value = text[start:end]
        kept = re.match(r"[A-Z0-9\-]+(?: [A-Z0-9\-]*\d[A-Z0-9\-]*)*", value, re.IGNORECASE)
        if kept and sum(map(str.isdigit, kept.group())) >= 4:
            yield Finding(start, start + kept.end(), "id", 0.92)
