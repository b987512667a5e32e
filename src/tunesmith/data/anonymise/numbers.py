"""Telephone numbers and dates of birth: by form where it is plain enough, else by the words before them."""

import re
from collections.abc import Iterator

from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.anonymise.seen import Seen

_PHONE = re.compile(
    r"(?<!\w)(?<!\d[.,/\- ])(?<!/)(?<!\w-)(?:\+ ?\(?\d{1,3}\)?|\(\+?\d{1,4}\)|\d{2,11})(?:[ .\-/]{0,2}\(?\d{1,8}\)?){0,6}"
    r"(?:,? ?(?:x|ext\.?|extension) ?\d{1,6})?(?![\w]|[.,\-/]\d)",
    re.IGNORECASE,
)
_AMERICAN = re.compile(r"(?:\+?1[ .\-]?|001[ .\-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .\-])\d{3}[ .\-]\d{4}(?:\D|\Z)")
_AMERICAN_BARE = re.compile(r"[2-9]\d{2}[2-9]\d{6}\Z")
_PAIRS = re.compile(r"0?\d(?:[ .\-]\d{2}){4}\Z|\d{2}(?:[ .\-]\d{2}){3}\Z")
_ZERO = re.compile(r"\(?0[1-9]\d{0,4}\)?[ /\-]")
_TRIPLES = re.compile(r"\(?[1-9]\d{2}\)?[ \-]\d{3}[ \-]\d{3}\Z")
_LOOSE = re.compile(
    r"\(\d{2,4}\) ?\d{3,4}[ \-]?\d{3,4}\Z|\d{2}[ \-]\d{3}[ \-]\d{3}(?:[ \-]\d{4})?\Z|\d{3}[ \-]\d{2}[ \-]\d{3}\Z|\d{2} \d{3} \d{2} \d{2}\Z|"
    r"\d{2} \d{6}\Z|[2-9]\d{2}[ \-]\d{4}\Z|[2-9]\d{3} \d{4}\Z"
)
"""National forms without a leading zero: 78 651 450, 432 03 163, 668 5702, 9469 9966, (99) 645-791."""
_YEARS = re.compile(r"(?:1[5-9]|20)\d{2}[ \-](?:1[5-9]|20)\d{2}\Z")
_UNIT = re.compile(
    r" ?(?:%|€|\$|£|k[mg]|mi|m|people|persons|inhabitants|dollars|euros|pounds|million|votes|tonnes|tons|copies|square|acres|words|tokens|"
    r"rows|bytes|items|units|years|days)\b",
    re.IGNORECASE,
)
_MONEY = (
    "$",
    "€",
    "£",
    "usd ",
    "eur ",
    "gbp ",
    "$ ",
    "€ ",
    "£ ",
    "pop. ",
    "population ",
    "population of ",
    "about ",
    "over ",
    "some ",
    "nearly ",
    "almost ",
    "than ",
)
_TOWARDS = re.compile(r"(?:\b(?:at|on|to|is|me|under|from|with|or|via|try)|[:@#])\s?\Z")
_NOT = re.compile(
    r"\d{4}[\-/.]\d{1,2}[\-/.]\d{1,2}|\d{1,2}[\-/.]\d{1,2}[\-/.](?:19|20)?\d{2}(?:[^\d./\-]|\Z)|(?:1[5-9]|20)\d{2} ?[\-/] ?(?:1[5-9]|20)?\d{2}\Z"
)
_CUE = re.compile(
    r"\b(?:(?:tele)?phones?|tel|mobiles?|cell(?:phone|ular)?|fax|call(?:s|ed|ing|er)?|ring|rang|dial(?:led)?|text(?:s|ed)?|sms|whatsapp|"
    r"desk|landline|hotline|"
    r"reach(?:ed)?|contact(?:ed)?|answer(?:s|ed|ing)?|voicemail|number|messages?|registered|pager|extension|line|handy|telefon|téléphone|"
    r"teléfono|telefono|"
    r"rufnummer|numéro|número|numero)\b"
)
_OTHER = re.compile(
    r"\b(?:card|account|order|invoice|iban|ticket|reference|ref|case|flight|policy|serial|tracking|isbn|zip|postcode|social|license|licence)\b"
)

_MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
    r"|januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre"
    r"|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre)\.?"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th|\.)?"
_YEAR = r"(?:1[89]|20)\d{2}"
DATE = re.compile(
    rf"(?<![\w/.\-])(?:{_YEAR}[\-/.]\d{{1,2}}[\-/.]\d{{1,2}}|\d{{1,2}}[\-/.] ?\d{{1,2}}[\-/.] ?(?:{_YEAR}|\d{{2}})"
    rf"|{_DAY},? (?:of |de )?{_MONTHS}(?:,? (?:de )?{_YEAR})?|{_MONTHS} {_DAY}(?:,? {_YEAR})?|{_MONTHS} {_YEAR})(?![\w/\-])",
    re.IGNORECASE,
)
_BIRTH = re.compile(
    r"\b(?:born|birth(?:day|date)?|b-day|d\.?o\.?b|geboren|geburts(?:tag|datum)|naissance|née? le|nacid[oa]|nacimiento|nat[oa] il|nascita|"
    r"nascid[oa]|geboortedatum|"
    r"född|født|urodzon[ya])\b[^.!?\n]{0,32}\Z"
)


def find_phones(seen: Seen) -> Iterator[Finding]:
    """Seven to fifteen digits. American, international and grouped national forms stand alone; others need a word before them."""
    if not seen.digit:
        return
    for match in _PHONE.finditer(seen.text):
        value = match.group()
        if value.endswith(")") and value.count("(") < value.count(")"):
            value = value[:-1]
        count = sum(map(str.isdigit, re.split(r"[xe]", value, maxsplit=1, flags=re.IGNORECASE)[0]))
        if 7 <= count <= 15 and not _NOT.match(value):
            sure = _sure_of(seen, match.start(), value, count)
            if sure:
                yield Finding(match.start(), match.start() + len(value), "phone", sure)


def _sure_of(seen: Seen, start: int, value: str, count: int) -> float:
    """How sure a number is a telephone's; 0 where it may be any number."""
    before = seen.before(start, 56)
    if (value.startswith("+") and count >= 8) or _AMERICAN.match(value):
        return 0.85
    cue, other = (max((match.end() for match in words.finditer(before)), default=0) for words in (_CUE, _OTHER))
    if cue > other:
        return 0.85
    if other and other > len(before) - 16:
        return 0.0
    if (_ZERO.match(value) and 9 <= count <= 12) or _PAIRS.match(value):
        return 0.75
    if _YEARS.match(value) or _UNIT.match(seen.text, start + len(value)) or "." in value or before.endswith(_MONEY):
        return 0.0
    if _TRIPLES.match(value) or _LOOSE.match(value):
        return 0.65
    bare = value.isdigit() and ((count in (9, 10) and value[0] != "1" and _TOWARDS.search(before)) or _AMERICAN_BARE.match(value))
    return 0.6 if bare else 0.0


def find_birth_dates(seen: Seen) -> Iterator[Finding]:
    """A date within a few words of one for birth; other dates are nobody's secret."""
    if not seen.digit or not any(
        word in seen.low
        for word in (
            "born",
            "birth",
            "b-day",
            "dob",
            "d.o.b",
            "gebor",
            "gebur",
            "naiss",
            "né",
            "nac",
            "nat",
            "nasc",
            "född",
            "født",
            "urodz",
        )
    ):
        return
    for match in DATE.finditer(seen.text):
        if _BIRTH.search(seen.before(match.start(), 64)):
            yield Finding(match.start(), match.end(), "birth_date", 0.9)
