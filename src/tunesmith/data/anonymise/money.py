"""Card numbers and bank accounts (IBAN): by their checksums."""

import re
from collections.abc import Iterator

from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.anonymise.seen import Seen
from tunesmith.data.anonymise.word_lists import words

_CARD = re.compile(r"(?<!\w)(?<!\d[ .\-,])\d(?:[ \-]?\d){11,18}(?![\w]|[\-.,]\d)")
_CARD_CUE = re.compile(r"\b(?:cards?|cc|credit|debit|visa|master ?card|maestro|amex|american express|discover|diners)\b")
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})\Z|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}\Z|3[47]\d{13}\Z"
    r"|3(?:0[0-5]|09|[689]\d)\d{11}\Z|(?:6011|64[4-9]\d|65\d{2})\d{12}(?:\d{3})?\Z|62\d{14,17}\Z|(?:1800|2131)\d{11}\Z|35\d{14}\Z"
)
_MAESTRO = re.compile(r"(?:50|5[6-9]|6\d)\d{10,17}\Z|4\d{11,18}\Z")

_STAND_IN = re.compile(r"(?<![^\W_])[A-Za-z]{2}00[ \-]?[A-Za-z0-9 \-]{0,36}\Z")
"""An account whose check digits are 00, which no account has: a stand-in, whose digits may pass for a card's by chance."""
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?=[ \-]?[A-Za-z0-9]{4})")
IBAN_LENGTHS = {
    land: int(length)
    for land, length in (
        entry.split(":")
        for entry in words(
            "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DK:18 DO:28 EE:20 EG:29 ES:24 "
            "FI:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 "
            "LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MR:27 MT:31 MU:30 NL:18 NO:15 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 "
            "SA:24 SC:31 SE:24 SI:19 SK:24 SM:27 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20"
        )
    )
}
"""Characters of an IBAN by country (the registry of ISO 13616)."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def find_cards(seen: Seen) -> Iterator[Finding]:
    """Twelve to nineteen digits that pass Luhn's test, of an issuer's range; the rarer lengths only beside a word for a card."""
    if not seen.digit:
        return
    for match in _CARD.finditer(seen.text):
        digits = re.sub(r"\D", "", match.group())
        if not luhn(digits) or len(set(digits)) < 2:
            continue
        if _STAND_IN.search(seen.text, max(0, match.start() - 40), match.start()):
            continue
        cue = _CARD_CUE.search(seen.before(match.start(), 60))
        if _ISSUERS.match(digits) or (cue and _MAESTRO.match(digits)):
            yield Finding(match.start(), match.end(), "card", 0.97 if cue else 0.93)


def find_ibans(seen: Seen) -> Iterator[Finding]:
    """A country, its length and the remainder 1 by 97 (ISO 13616); in groups or in one piece, in capitals or not."""
    if not seen.digit:
        return
    for match in _IBAN.finditer(seen.text):
        length = IBAN_LENGTHS.get(match.group()[:2].upper())
        end = _counted(seen.text, match.start(), length) if length else 0
        if end and remainder97(seen.text[match.start() : end]) == 1:
            yield Finding(match.start(), end, "iban", 0.97)


def _counted(text: str, start: int, length: int) -> int:
    """Where so many letters and digits end, single spaces and hyphens between them not counted; 0 where they don't."""
    count, here = 0, start
    while here < len(text) and count < length:
        if text[here].isascii() and text[here].isalnum():
            count += 1
        elif text[here] not in " -" or text[here - 1] in " -":
            return 0
        here += 1
    whole = count == length and not (here < len(text) and text[here].isalnum())
    return here if whole else 0


def remainder97(iban: str) -> int:
    """The remainder that makes an IBAN right when it is 1: country and check digits last, letters as 10 to 35."""
    plain = re.sub(r"[ \-]", "", iban).upper()
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97
