"""Postal addresses by a small grammar: an anchor (house number and street, street and number, post box, corner of two streets), to
which flat, town, region, postcode and country are joined. Street words come from `streets`, towns from the lists and from their place.

    address  = [number] anchor tail*
    anchor   = number name ending | opening name [number] | name+inward number | number name number | box | corner
    tail     = separator (unit | name ending | town | region | postcode)

Every repetition is bounded, so the work grows with the text and no faster.
"""

import re
from collections.abc import Callable, Iterator

from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.anonymise.names import FIRST, LAST, PLACE, WORD, known_words
from tunesmith.data.anonymise.seen import CAPITAL, Seen
from tunesmith.data.anonymise.streets import ENDINGS, INWARD, LONE_OPENINGS, MORE_ENDINGS, OPENINGS, REGIONS, SHORT_INWARD, UNITS
from tunesmith.data.anonymise.word_lists import words


def _any(words: list[str] | tuple[str, ...]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_NUMBER = r"\d{1,6}(?:[A-Za-z](?![^\W_])|[/\-]\d{1,4}[A-Za-z]?(?![^\W_]))?"
_JOINING = r"(?:de|da|do|das|dos|del|della|delle|dei|degli|di|du|des|la|le|les|los|las|el|of|the|van|von|der|den|het|am|an|y|e|i|na|nad|pod|u\.|st\.|sv\.)"
_ENDING = rf"(?:{_any(ENDINGS)})\b\.?"
_WIDE = rf"(?:{_any([*ENDINGS, *MORE_ENDINGS])})s?\b\.?"
_FLAT = rf"(?:{UNITS}) ?#?(?=[\w\-]{{0,5}}\d|[A-Za-z]\b)[\w\-]{{1,6}}\b"
_APART = r"(?:[ ,]{0,3}\n[ >?|*#\-]{0,5}|[ ,]{1,4})"
"""Between the parts of an address: a comma, a space, or a line's end and the mark of a quoted line."""
_FLAGS = re.IGNORECASE


def _grammar(first: str, few: bool) -> dict[str, re.Pattern[str]]:
    """The anchors, for names whose words begin with a letter of the class `first` (`(?-i:` keeps capitals capital); `few` of them where nothing shows where a name begins."""
    word = rf"(?-i:{first})[^\W_]*(?:['’.\-][^\W\d_]+)*\.?"
    name = rf"(?:{_JOINING} ){{0,2}}{word}(?: (?:{_JOINING} ){{0,2}}{word}){{0,4}}?"
    ordinal = r"\d{1,3}(?:st|nd|rd|th)"
    side = rf"(?:{_NUMBER} )?(?:(?:ten|{OPENINGS}) )?{word}(?: (?:{_JOINING} ){{0,2}}{word}){{0,4}}(?: {_NUMBER})?"
    long, short = _any(INWARD), _any(SHORT_INWARD.split())
    three, two, own = (
        ("", "", f"{word} ") if few else (f"(?:{word} ){{0,3}}?", f"(?:{word} ){{0,2}}?", f"(?:{word} ){{1,3}}(?:[^\\W\\d_]{{3,}} )?")
    )
    joined = rf"{three}[^\W\d_]{{2,}}(?:{long})|{two}[^\W\d_]{{5,}}(?:{short})"
    inward = rf"(?:{joined}|{own}(?:{long}|{short})\.?)"
    lead = rf"(?<![\w.,\-/$€£])(?:{_NUMBER},? )?"
    return {
        "numbered": re.compile(
            rf"(?<![\w.$€£]){_NUMBER},? (?:{_NUMBER} )?(?:[NSEW]\.? )?(?:{name}|{ordinal}) {_ENDING}"
            r"(?: (?:north|south|east|west|[nsew]{1,2})\b)?",
            _FLAGS,
        ),
        "opened": re.compile(
            rf"{lead}\b(?:(?<=c/)|(?<!\w))(?:(?:{OPENINGS}) {name},? {_NUMBER}(?!\d)|(?:{LONE_OPENINGS}) {name}(?= \n|[\n,.?!]|\Z| (?:{UNITS})))",
            _FLAGS,
        ),
        "inward": re.compile(rf"{lead}(?<![^\W_]){inward},? {_NUMBER}(?!\d)\.?", _FLAGS),
        "between": re.compile(rf"(?<![\w.$€£:/\-]){_NUMBER} {name} (?:u\. )?{_NUMBER}(?![\w:/%]|[.,]\d)", _FLAGS),
        "led": re.compile(
            rf"{lead}{_NUMBER},? (?:{LONE_OPENINGS}|(?:{OPENINGS})(?= (?-i:{first}))) "
            rf"(?:{_JOINING} ){{0,2}}[^\W\d_]+(?:['’.\-][^\W\d_]+)*(?: (?:{_JOINING} ){{0,2}}{word}){{0,3}}(?: {_NUMBER}(?!\d))?",
            _FLAGS,
        ),
        "doubled": re.compile(rf"(?<![\w.\-]){name} {_NUMBER} {name} {_WIDE}(?={_APART}(?:{_FLAT})|\s?[,\n])", _FLAGS),
        "corner": re.compile(rf"\b(?:the )?corner of {side} and {side}", _FLAGS),
    }


_BOXES = re.compile(
    rf"(?:(?<!\w){_NUMBER} )?\b(?:P\.? ?O\.? ?Box|Post ?box|Postfach|Apartado|Boîte postale|B\.P\.|Casilla|Skrytka pocztowa)\b[ :#]{{0,2}}\d{{1,7}}"
    r"|\bPSC \d{1,5},? Box \d{1,6}|\b(?:Unit|CMR) \d{1,6},? Box \d{1,6}|\b(?:USS|USNS|USNV|USCGC) \w{2,20}\s{1,2}FPO [A-Z]{2} \d{5}",
    re.IGNORECASE,
)
_FLATTED = re.compile(
    rf"(?<![\w.$€£:/\-])(?:{_NUMBER} )?{_NUMBER}(?: [^\W\d_][\w.'’\-]{{0,24}}){{1,5}}[,\s]{{1,3}}(?:suite|ste\.?|apt\.?|apartment|appt\.?|flat|unit) ?#?\d{{1,5}}(?![^\W_])",
    _FLAGS,
)
"""A number, some words and a flat: an address in whatever words."""
_CODE_WORDS = frozenset(("zip", "zipcode", "postcode", "postal", "post", "pin", "pincode", "plz", "postleitzahl", "código", "postnummer"))
_FLAT_WORDS = frozenset(("suite", "ste", "apt", "apartment", "appt", "app", "flat", "unit"))
_BOX_WORDS = frozenset(("box", "pobox", "postbox", "postfach", "apartado", "boîte", "b", "bp", "casilla", "skrytka", "fpo"))
_POSTCODE = (
    r"(?:\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{4} ?[A-Z]{2}|[A-Z]{1,2}-\d{4,5}|"
    r"\d{3} \d{2}|\d{3}-\d{4}|\d{2}-\d{3}|\d{5}-\d{3}|\d{4,6})"
)
_POSTCODE_CUED = re.compile(
    rf"\b(?:zip(?: ?code)?|post(?:al)? ?code|pin ?code|plz|postleitzahl|code postal|código postal|postnummer)\b[^\d\n]{{0,24}}?(?<![^\W_])({_POSTCODE})(?![\w\-]|[.,]\d)"
    rf"|\b({_POSTCODE}),? (?:is|was|for|as) (?:my|the|his|her|our|their|your)? ?(?:zip|post(?:al)? ?code)\b",
    re.IGNORECASE,
)
_BRITISH = re.compile(
    r"(?<![\w\-])(?:[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKPS-UW]|[A-HK-Y]\d[ABEHMNPRV-Y])) \d[ABD-HJLNP-UW-Z]{2}(?![\w\-])"
)
_CUED_STREET = (
    r"\b(?:(?:lives?|lived|living|resid(?:es?|ed|ing)|stay(?:s|ed|ing)?|located|situated|based|delivered|"
    r"address(?: is|:)?|office is|restaurant is|house is|home is|shop is|store is|moved"
    r"|side of|meet(?: me| you| us)?|turn|get off|off|enter|deliver(?:ed|y)?|ship(?:ped)?|mail(?:ed)?|"
    r"sen[dt](?: it| them| this)?|return|taxi|drive|walk(?:ed)?|go)"
    r" ?(?:is |it )?(?:at|on|to|in|into|near|from|by|along|me at|him at|you at|here)?|on|at|along)[: ]\s?"
)
_SURE_ENDINGS = [
    ending.title()
    for ending in words("street road avenue lane drive boulevard terrace parkway highway crescent grove mews gardens rd ave blvd")
]
_STREET_ALONE = rf"((?-i:[{CAPITAL}])[^\W\d_]*(?:['’.\-][^\W\d_]+)*(?: (?-i:[{CAPITAL}])[^\W\d_]*){{0,3}}?) (?-i:{_any(_SURE_ENDINGS)})\b"
_CUED = re.compile(
    rf"{_CUED_STREET}((?:{_NUMBER} )?(?:(?:{_JOINING} ){{0,2}}(?-i:[{CAPITAL}])[^\W\d_]*\.?(?:['’\-][^\W\d_]+)*[ ]){{1,5}}{_NUMBER}\b\.?(?![\w:%/]|[.,]\d)"
    rf"|{_NUMBER} (?:{_NUMBER} )?(?-i:[{CAPITAL}])[^\W\d_]+(?: (?:{_JOINING} ){{0,2}}(?-i:[{CAPITAL}])[^\W\d_]+){{0,4}})",
    _FLAGS,
)
_WEAK = re.compile(
    rf"(?P<led>(?<![\w.$€£:,/\-])(?:{_NUMBER} )?\d{{1,6}} [{CAPITAL}][^\W\d_]+(?: (?:{_JOINING} ){{0,2}}[{CAPITAL}][^\W\d_]+){{0,4}}(?![^\W_]))"
    rf"|(?<![^\W_])(?:[{CAPITAL}][^\W\d_]*(?:['’\-][^\W\d_]+)*\.? (?:{_JOINING} ){{0,2}}){{1,5}}{_NUMBER}(?![\w:%/]|[.,]\d)"
)
"""A number and names, or names and a number: an address only if a flat, a town or a postcode follows, or a preposition of place stands before."""
_TOWARDS = re.compile(
    r"(?:\b(?:to|at|near|opposite|behind|outside|off|towards?|past|around|along|address(?: is)?|office|home|house|street)|:)\s?\Z"
)
_NEAR = re.compile(
    r"\b(?:address(?:es)?|streets?|st\.|road|lives?|lived|living|house|home|apartment|flat|located|office|restaurant|shop|store|"
    r"deliver(?:y|ed)?|ship(?:ped|ping)?|mail(?:ed)?|parcel|package|taxi|cab|"
    r"bus|stop|building|mov(?:e|ed|ing)|corner|block|neighbou?r(?:s|hood)?|north|south|east|west|park(?:ed|ing)?|drop(?:s|ped)?|zip|postcode|branch|directions?|map|meet(?:ing)?)\b"
)
_DATED = re.compile(
    r"(?:1[5-9]|20)\d{2},|\d{1,4} (?:the|of|in|on|and) |.*\b(?:supreme|high|appeals?|county|district|federal|crown) courts?\Z",
    re.IGNORECASE | re.DOTALL,
)
_YEAR = re.compile(r"(?:\A| )(?:1[5-9]|20)\d{2}\Z")
_NAMED = re.compile(rf"\b(?:on|along|in|at|down|up|off|to|from|near) (?:the )?{_STREET_ALONE}", _FLAGS)
_TAIL_WORD = rf"(?:[{CAPITAL}][^\W\d_]{{0,2}}\.|[{CAPITAL}][^\W\d_]*(?:['’.\-][^\W\d_]+)*)"
_TAIL = re.compile(
    rf"(?P<unit>{_APART}(?i:{_FLAT}))"
    rf"|(?P<more> {_TAIL_WORD}(?: {_TAIL_WORD})?(?: (?i:{_WIDE}))(?![^\W\d_]))"
    rf"|(?P<region>{_APART}(?:{_any(REGIONS)}|[A-Z]{{2}}|nan|\d{{2}})(?=[ ,\n]{{1,3}}\d{{4,6}}(?!\d)))"
    rf"|(?P<code>{_APART}{_POSTCODE}(?![\w\-]|[.,:/ ]\d))"
    rf"|(?P<town>(?P<gap>{_APART}(?:\n[ >?|*#\-]{{0,5}})?){_TAIL_WORD}(?: (?:(?i:{_JOINING}) ){{0,2}}{_TAIL_WORD}){{0,3}}(?: \([^\W\d_]{{2,20}}\))?)(?![^\W_])"
)
_LOW_TAIL = re.compile(
    rf"(?P<unit>{_APART}{_FLAT})|(?P<code>{_APART}{_POSTCODE}(?![\w\-]|[.,:/ ]\d))"
    r"|(?P<region>[ ,\n]{1,5}(?:[a-z]{2}|nan|\d{2})(?=[ ,\n]{1,3}\d{4,6}(?!\d)))"
    r"|(?P<town>(?P<gap>\s?,\s?|\n[ >?|*#\-]{0,5}(?:\n[ >?|*#\-]{0,5})?)[^\W\d_]+(?:[ '’\-][^\W\d_]+){0,3}(?: \([^\W\d_]{2,20}\))?(?=\s?[,\n]|\s\d|[.?!]|\Z))",
    re.IGNORECASE,
)
_MONTHS = words(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug sep sept oct nov dec"
)
_COUNTED = frozenset(
    _MONTHS
    + words(
        "chapter section article page part act title volume book psalm verse figure table room platform gate flight version windows issue number no day days week weeks year years "
        "class level grade phase unit step line lines game games season episode top boeing airbus route highway interstate channel world war super bowl apollo model type category "
        "am pm mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday on in at by from to the between and or about over under until since for "
        "million billion thousand percent people men women children times minutes hours seconds dollars pounds euros points votes date time name phone mobile desk fax order card "
        "invoice account ticket reference zip iban bot user size question answer exercise example paragraph"
    )
)
"""Words before or behind a number that is no house's."""
_GRAMMARS = (_grammar(rf"[{CAPITAL}]", few=False), _grammar(r"[^\W\d_]", few=True))
_LETTERED = re.compile(r"([^\W\d_]+)\.?,? \d")
_INWARD = (*INWARD, *SHORT_INWARD.split())
_DOUBLED = re.compile(rf"\d (?:\S{{1,30}} ){{1,4}}(?:{_any([*ENDINGS, *MORE_ENDINGS])})", _FLAGS)
_OPENERS = frozenset(re.findall(r"[^\W\d_]+", OPENINGS.lower().replace("\\", " ").replace("/", " ")))
_ENDERS = frozenset(ENDINGS)
_WIDE_ENDERS = frozenset(ending + plural for ending in [*ENDINGS, *MORE_ENDINGS] for plural in ("", "s"))
_HINTS: dict[str, Callable[[Seen], bool]] = {
    "numbered": lambda seen: not _ENDERS.isdisjoint(seen.words),
    "opened": lambda seen: not _OPENERS.isdisjoint(seen.words),
    "led": lambda seen: not _OPENERS.isdisjoint(seen.words),
    "inward": lambda seen: any(match[1].lower().endswith(_INWARD) for match in _LETTERED.finditer(seen.text)),
    "doubled": lambda seen: not _WIDE_ENDERS.isdisjoint(seen.words) and _DOUBLED.search(seen.text) is not None,
    "corner": lambda seen: "corner" in seen.words,
}
"""What must hold for the dearer patterns to be worth a try."""
_RATED = {"numbered": 0.9, "led": 0.85, "doubled": 0.85, "opened": 0.85, "inward": 0.85, "between": 0.75, "corner": 0.85}


def find_addresses(seen: Seen) -> Iterator[Finding]:
    """Anchors with what belongs to them; those that touch are one address."""
    text = seen.text
    anchors = sorted(_anchors(seen), key=lambda found: (found[0], -found[1]))
    done = -1
    for start, end, sure in anchors:
        if end <= done or (start < done and not any(map(str.isalnum, text[done:end]))):
            continue
        if start < done:
            start = done
        done = _with_tail(seen, end)
        yield Finding(start, done, "address", sure)
    if seen.digit:
        for match in _POSTCODE_CUED.finditer(text) if not _CODE_WORDS.isdisjoint(seen.words) else ():
            yield Finding(*match.span(match.lastindex or 0), "address", 0.85)
        for match in _BRITISH.finditer(text):
            yield Finding(match.start(), match.end(), "address", 0.75)


def _anchors(seen: Seen) -> Iterator[tuple[int, int, float]]:
    text = seen.text
    if seen.digit:
        for kind, pattern in _GRAMMARS[seen.lower].items():
            if kind in _HINTS and not _HINTS[kind](seen):
                continue
            for match in pattern.finditer(text):
                if (
                    kind in ("corner", "led")
                    or (kind == "numbered" and not _DATED.match(match.group()))
                    or not _counted(match.group(), seen.lower and kind == "between")
                ):
                    yield match.start(), match.end(), _RATED[kind]
        if not _BOX_WORDS.isdisjoint(seen.words):
            for match in _BOXES.finditer(text):
                yield match.start(), match.end(), 0.92
        if not _FLAT_WORDS.isdisjoint(seen.words):
            for match in _FLATTED.finditer(text):
                if not _counted(match.group(), False):
                    yield match.start(), match.end(), 0.8
        if not seen.lower:
            yield from _weak(seen)
            for match in _CUED.finditer(text):
                if not _counted(match.group(1), False):
                    yield match.start(1), match.end(1), 0.75
    elif "corner of" in seen.low:
        for match in _GRAMMARS[seen.lower]["corner"].finditer(text):
            yield match.start(), match.end(), 0.8
    if not seen.lower and not _ENDERS.isdisjoint(seen.words):
        for match in _NAMED.finditer(text):
            yield match.start(1), match.end(), 0.7


def _weak(seen: Seen) -> Iterator[tuple[int, int, float]]:
    """Names beside a number, where what stands before or behind says that it is a place."""
    text = seen.text
    for match in _WEAK.finditer(text):
        value = match.group()
        if _counted(value, False) or _YEAR.search(value) or not _places(value):
            continue
        before = seen.before(match.start(), 90)
        near = _NEAR.search(before + " " + text[match.end() : match.end() + 40].lower())
        end = _with_tail(seen, match.end(), strict=True)
        if (
            end > match.end()
            or _foreign(value, match["led"] is not None)
            or ((near or _TOWARDS.search(before)) and (match["led"] is None or value.count(" ") > 1))
        ):
            yield match.start(), match.end(), 0.65


def _foreign(value: str, led: bool) -> bool:
    """Whether it is in words that no list knows, as the streets of other lands are: `Ringvej 144`, `214 Pavlou Drandaki`."""
    known = known_words()
    words = [known.get(word.lower(), 0) for word in re.findall(r"[^\W\d_]{3,}", value)]
    if value.isupper() or any(flags & WORD for flags in words) or not words or re.search(r"(?<!\d)\d(?!\d)", value):
        return False
    if led or not words[-1]:
        return not words[-1] if not led else len(words) > 1 and not all(words)
    surname = len(words) == 1 and not words[0] & (FIRST | PLACE)
    return surname or (len(words) > 1 and re.search(r"\d{3}", value) is not None)


def _places(value: str) -> bool:
    """Whether its words can be a street's name: not all of them ordinary."""
    known = known_words()
    words = [known.get(word.lower(), 0) for word in re.findall(r"[^\W\d_]{3,}", value)]
    return any(flags != WORD for flags in words)


def _counted(anchor: str, lower: bool) -> bool:
    """Whether its number counts or dates something: `Chapter 5`, `3 May 1999`. In small letters any ordinary word is reason to think so."""
    words = [word.strip(".,") for word in re.findall(r"[^\W\d_]+", anchor.lower())]
    if any(word in _COUNTED for word in words):
        return True
    known = known_words()
    return lower and any(known.get(word, 0) & (WORD | FIRST | LAST | PLACE) == WORD for word in words if len(word) > 2)


def _with_tail(seen: Seen, end: int, strict: bool = False) -> int:
    """Where the address ends whose anchor ends there: at most ten parts follow; `strict` asks for a flat or a postcode among them."""
    sure, anchor = not strict, end
    text, tail = seen.text, _LOW_TAIL if seen.lower else _TAIL
    unit = False
    for _ in range(10):
        match = tail.match(text, end)
        if not match:
            break
        kind = match.lastgroup if match.lastgroup != "gap" else "town"
        kind = "town" if match.groupdict().get("town") is not None else kind
        stop = match.end()
        if kind == "town":
            stop = _town(seen, match, unit)
            if not stop:
                break
        unit = kind in ("unit", "town", "region")
        sure = sure or kind in ("unit", "code", "region")
        end = stop
    return end if sure else anchor


def _town(seen: Seen, match: re.Match[str], joined: bool) -> int:
    """Where the name of a town or land ends that these capitals may be; 0 where they are something else."""
    text = seen.text
    gap, words = match["gap"], match["town"][len(match["gap"]) :]
    after = text[match.end() : match.end() + 2]
    parts = words.rstrip(".").split(" ")
    known = known_words()
    if any(part.lower() in _COUNTED for part in parts) or after[:1] == ":" or (after[:1] == " " and after[1:2] == ":"):
        return 0
    apart = "," in gap or "\n" in gap
    placed = any(known.get(part.lower(), 0) & PLACE for part in parts)
    if not (apart or joined or placed):
        return 0
    ordinary = known.get(parts[0].lower(), 0) == WORD and not placed
    closed = not after or after[0] in ",.\n?!;)" or (after[0] == " " and (after[1:2].isdigit() or not apart or placed or not ordinary))
    if ordinary and ("\n" not in gap or len(parts) > 2):
        return 0
    return match.end() - (1 if words.endswith(".") and not after else 0) if closed else 0
