"""Persons without a model: runs of capitalised words, looked up in name lists, weighed by the words around them.

A run is taken for a name when a title or an introduction stands before it, when its parts are known as first name and surname, or
when a single known first name stands where no ordinary word, place or company is meant. A name found once in a text is found at its
other places there too, parts alone included. Texts without a capital are read by their introductions and by pairs of known names.
Misses: names that no list knows and nothing introduces. Costs some tens of microseconds a sentence.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.anonymise.names import COMMON, FIRST, LAST, PLACE, WORD, known_words
from tunesmith.data.anonymise.person_words import (
    AFTER,
    COMPANIES,
    INTRODUCING,
    LISTED,
    MEDIUM_BEFORE,
    PARTICLES,
    PEOPLE_DO,
    STRONG_BEFORE,
    TITLES,
    VOCATIVE,
)
from tunesmith.data.anonymise.seen import CAPITAL, Seen
from tunesmith.data.anonymise.word_lists import words

_WORD = rf"[{CAPITAL}][^\W\d_]*(?:['’\-][^\W\d_]+)*"
_TITLE = r"(?:Mr|Mrs|Ms|Mx|Dr|Prof|Rev|Hon|Capt|Col|Maj|Lt|Sgt|Gen|Sen|Gov|Sr|Sra|Fr|St)\."
_PIECE = rf"(?:{_TITLE}|[{CAPITAL}]\.(?:[{CAPITAL}]\.)?|{_WORD})"
_RUN = re.compile(rf"(?<![^\W_]){_PIECE}(?: {{1,2}}(?:(?:{'|'.join(PARTICLES)}) ){{0,2}}{_PIECE}){{0,11}}")
_SPLIT = re.compile(r"\S+")
_POSSESSIVE = re.compile(r"['’]s\Z|(?<=s)['’]\Z")
_CONTRACTED = re.compile(r"['’](?:m|re|ve|ll|d|s|t)\Z", re.IGNORECASE)
_START = re.compile(r"(?:\A|[.!?:\n]|[.!?][\"'”’)]|[\"“(\[*\-–—?])\s*\Z")
_LOW_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*\.?")
_LOW_TITLE = re.compile(r"\b(?:mr|mrs|ms|miss|dr|prof)\.? \Z")
_LIST = re.compile(rf"(?<![^\W_])({_WORD})((?:, {_WORD}){{1,6}}),? (?:and|&) ({_WORD})")
_SPEAKER = re.compile(rf"^({_WORD}): ", re.MULTILINE)
_SPOKEN = re.compile(r"\b(?:said|replied|asked|answered) \Z")
_CALLED = re.compile(r", [^\W\d_]+[!?]\Z")
_HAS = re.compile(
    r" (?:wants?|likes?|loves?|hates?|got|gave|gives|went|goes|came|comes|made|bought|paid|moved|called|met|spent|needs|knows|knew|sent|"
    r"left|lost|took|forgot|thinks|tried|ordered|sings|sang|plays|wrote|listed|turned|and i)\b",
    re.IGNORECASE,
)
_ALONE = re.compile(r"\s?(?:[?!)\]\"”,;:\n]|[-–—] |\.?\Z)")
_MARKS = " ,:?\"'“(.!;"
_AND = re.compile(r" (?:and|&|or|to) |/")
_AND_BEFORE = re.compile(r" (?:and|&|or|to) \Z|/\Z")
_PLACED = re.compile(
    r"\b(?:in|from|at|near|returned to|moved to|travel(?:l?ed)? to|flew to|arrived (?:at|in)|(?:north|south|east|west)(?:ern)?) \Z"
)
_SURNAME = re.compile(
    r"[^\W\d_]{2}(?:[oe]va?|[iy]ev[a]?|[dt]skaya|sk(?:i|y|á|ý|a)|(?:ov|ev)?i[ćč]|ovic|evic|sson|sd[óo]ttir|ssen|nsen|rsen|dsen|lsen|ksen|"
    r"nen|enko|chuk|shvili|dze|escu|oğlu|oglu|wicz|czyk|czak|"
    r"str[öo]m|qu?vist|quist|g[åa]rd|mann|stein|berger|hauer|ová|[aeo]k[oó]v[aá])\Z"
)
"""How surnames end in Slavic, Nordic, Baltic, Caucasian and German lands; for words that no list knows."""
_PLACE_WORDS = frozenset(
    words(
        "san santa são saint ste los las new north south east west northern southern eastern western lake mount fort port cape upper lower great"
    )
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One word of a run, its possessive ending taken off."""

    start: int
    end: int
    word: str
    flags: int

    @property
    def initial(self) -> bool:
        return len(self.word.rstrip(".")) == 1 or (len(self.word) <= 4 and self.word.count(".") == 2)

    @property
    def title(self) -> bool:
        return self.word.rstrip(".").lower() in TITLES

    @property
    def named(self) -> bool:
        return bool(self.flags & (FIRST | LAST))

    @property
    def ordinary(self) -> bool:
        """An ordinary word, or a place, that no list has as a name."""
        return bool(self.flags & (WORD | PLACE)) and not self.named

    @property
    def clear(self) -> bool:
        """A name and nothing else."""
        return self.named and not self.flags & (WORD | PLACE)


def find_persons(seen: Seen) -> Iterator[Finding]:
    """Names with their titles left out, since these tell little; initials and particles in, possessive endings out."""
    if seen.lower:
        yield from _small(seen)
        return
    found: list[Finding] = []
    open_parts: list[_Part] = []
    listed = list(_lists(seen))
    companies = [(start, end) for start, end, persons in listed if not persons]
    found += [finding for start, end, persons in listed if persons for finding in _listed(seen.text, start, end)]
    for match in _RUN.finditer(seen.text):
        parts = _parts(match)
        if parts and not any(start <= parts[0].start < end for start, end in companies):
            taken = list(_of_run(seen, parts))
            found += taken
            open_parts += [part for part in parts if not any(name.start <= part.start < name.end for name in taken)]
    found += _speakers(seen, found)
    yield from found
    yield from _again(seen, found, open_parts)


def _lists(seen: Seen) -> Iterator[tuple[int, int, bool]]:
    """Lists of names as `A, B and C`: start, end, and whether they are persons; surnames alone are a firm's, unless a word says who they are."""
    if ", " not in seen.text or not (" and " in seen.text or "&" in seen.text):
        return
    for match in _LIST.finditer(seen.text):
        flags = [_flags(word) for word in re.findall(_WORD, match.group())]
        if LISTED.search(seen.before(match.start(), 40)) and any(flag & (FIRST | LAST) for flag in flags):
            yield match.start(), match.end(), True
        elif all(flag & LAST for flag in flags) and sum(bool(flag & COMMON) for flag in flags) * 2 < len(flags):
            yield match.start(), match.end(), False


def _listed(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in re.finditer(_WORD, text[start:end]):
        yield Finding(start + match.start(), start + match.end(), "person", 0.7)


def _speakers(seen: Seen, found: Sequence[Finding]) -> list[Finding]:
    """In a dialogue one of whose speakers has a known name, the other speakers' too."""
    lines = list(_SPEAKER.finditer(seen.text)) if ": " in seen.text else []
    known = {finding.start for finding in found}
    if len(lines) < 2 or not any(line.start() in known for line in lines):
        return []
    new = [line for line in lines if line.start() not in known and _flags(line[1]) & (WORD | FIRST) != WORD]
    return [Finding(line.start(1), line.end(1), "person", 0.65) for line in new if not line[1].isupper()]


def _parts(match: re.Match[str]) -> list[_Part]:
    parts = []
    for piece in _SPLIT.finditer(match.string, match.start(), match.end()):
        word = piece.group()
        if word in PARTICLES:
            continue
        end = piece.end() - len(word) + len(_POSSESSIVE.sub("", word))
        word = word[: end - piece.start()]
        parts.append(_Part(piece.start(), end, word, _flags(word)))
    return parts


def _flags(word: str) -> int:
    """What the lists say of a word; one with a hyphen is what its parts are."""
    known = known_words()
    low = word.lower().rstrip(".")
    found = known.get(low)
    if found is not None:
        return found
    if _CONTRACTED.search(low):
        return WORD
    if "-" in low:
        return _hyphened([known.get(half, 0) for half in low.split("-")])
    if low.startswith(("mc", "mac", "o'", "o’", "d'", "d’", "al-", "el-")) and len(low) > 5:
        return LAST
    if len(low) == 2:
        return WORD
    return LAST if _SURNAME.search(low) else 0


def _hyphened(halves: Sequence[int]) -> int:
    """Two first names are one (Anne-Marie); two surnames one, which alone is rather a company's."""
    if any(half & WORD and not half & (FIRST | LAST) for half in halves):
        return WORD
    if all(half & FIRST for half in halves) and (halves[-1] & COMMON or not halves[-1] & LAST):
        return FIRST
    return LAST if any(half & (FIRST | LAST) for half in halves) else 0


def _of_run(seen: Seen, parts: Sequence[_Part]) -> Iterator[Finding]:
    """The names in one run: cut at ordinary words, companies and possessive endings; each piece weighed with what stands beside it."""
    segment: list[_Part] = []
    titled = False
    for place, part in enumerate(parts):
        if part.title and not segment and (place + 1 < len(parts) or part.word.endswith(".")):
            titled = True
            continue
        behind_initial = bool(segment) and segment[-1].initial and len(part.word) > 1
        surname = (
            len(segment) == 1
            and segment[0].clear
            and bool(segment[0].flags & COMMON)
            and place + 1 == len(parts)
            and not part.word.endswith("s")
        )
        is_name = (
            (behind_initial or (surname and part.flags & WORD and part.word[1:].islower() and len(part.word) > 3) or not part.ordinary)
            and part.word.lower() not in COMPANIES
            and (segment or not part.initial or place + 1 < len(parts))
        )
        cut = (
            segment
            and seen.text[segment[-1].end : part.start].strip() not in ("", *PARTICLES)
            and not _joined(seen.text[segment[-1].end : part.start])
        )
        if segment and (cut or not is_name):
            yield from _weigh(seen, segment, parts, titled)
            segment, titled = [], False
        if is_name and part.word not in ("I", "A"):
            segment.append(part)
        elif not is_name:
            titled = False
    if segment:
        yield from _weigh(seen, segment, parts, titled)


def _joined(between: str) -> bool:
    return all(word in PARTICLES for word in between.split())


def _weigh(seen: Seen, segment: list[_Part], run: Sequence[_Part], titled: bool) -> Iterator[Finding]:
    """A finding where the piece is a person's name."""
    while segment and segment[-1].initial and (len(segment) == 1 or not segment[-1].word.endswith(".")) and not segment[0].named:
        segment = segment[:-1]
    if not segment:
        return
    text = seen.text
    before = seen.before(segment[0].start, 40)
    begins = _START.search(text, max(0, segment[0].start - 4), segment[0].start) is not None or segment[0].start == 0
    words = [part for part in segment if not part.initial]
    if not words:
        return
    following = next((part for part in run if part.start == segment[-1].end + 1), None)
    if (titled or _LOW_TITLE.search(before[-6:])) and not _company(following):
        yield _finding(segment[:4], 0.85)
    elif (cue := _strong(before)) and _introduced(cue.group(), words) and not _company(following):
        yield _finding(segment[:5], 0.8)
    elif len(words) > 1:
        sure = _full(seen, segment, words, following, begins)
        if sure:
            yield _finding(segment, sure)
        elif begins and words[0].flags & WORD and len(words) > 1:
            yield from _weigh(seen, segment[1:], run, False)
    elif _single(seen, words[0], run, following, begins, before):
        yield _finding(segment, 0.7)


def _strong(before: str) -> re.Match[str] | None:
    """The introduction that ends there; the last word is looked at first, since most places have none."""
    last = before[-24:].replace("\n", " ").rstrip(_MARKS).rpartition(" ")[2]
    if last in INTRODUCING or ":" in before[-3:] or "?" in before[-3:] or "." in last:
        return STRONG_BEFORE.search(before)
    return None


def _introduced(cue: str, words: Sequence[_Part]) -> bool:
    """Whether these words are what the introduction speaks of: `name` is believed of any of them, `this is` not of ordinary ones."""
    if "name" in cue:
        return any(part.named or not part.flags for part in words)
    if words[0].flags & PLACE or not any(part.named or not part.flags for part in words):
        return False
    return len(words) > 1 or not words[0].flags & WORD or bool(words[0].flags & FIRST)


def _finding(segment: Sequence[_Part], sure: float) -> Finding:
    return Finding(segment[0].start, segment[-1].end, "person", sure)


def _company(following: _Part | None) -> bool:
    return following is not None and following.word.lower().rstrip(".") in COMPANIES


def _full(seen: Seen, segment: Sequence[_Part], words: Sequence[_Part], following: _Part | None, begins: bool) -> float:
    """How sure two or more words are a full name: first name and surname known, or one of them and nothing against it."""
    if len(words) > 4 or (following and (_company(following) or following.ordinary)) or words[0].word.lower() in _PLACE_WORDS:
        return 0.0
    first, last = words[0].flags, words[-1].flags
    if first & PLACE and not first & COMMON and not (first & FIRST and last & LAST and not last & WORD):
        return 0.0
    if any(part.initial for part in segment[1:]) and (words[0].named or words[-1].named or not (first or last)):
        return 0.85
    if begins and first & WORD and not first & COMMON:
        return 0.0
    if first & FIRST and last & LAST:
        return 0.8 if words[0].clear or words[-1].clear or (first & COMMON and (not begins or _done(seen, segment[-1].end))) else 0.0
    if first & FIRST and (last & FIRST or not last):
        return 0.75 if words[0].clear or first & COMMON else 0.0
    if words[0].word.isupper() or words[-1].word.isupper():
        return 0.0
    if len(words) == 2 and ((not first and words[-1].clear) or (words[0].clear and (words[-1].clear or not last))):
        return 0.65
    if first & COMMON and first & FIRST and words[0].clear and last & WORD and len(words) == 2:
        return 0.65
    if first & ~LAST or last & ~LAST or len(words) > 3:
        return 0.0
    return 0.65 if _told(seen, segment) or not (begins or _PLACED.search(seen.before(segment[0].start, 24))) else 0.0


def _done(seen: Seen, end: int) -> bool:
    """Whether what stands behind it is what stands behind a name."""
    return bool(AFTER.match(seen.text, end) or _ALONE.match(seen.text, end))


def _told(seen: Seen, segment: Sequence[_Part]) -> bool:
    """Whether the words around, or a line of its own at the head of a block, say that unknown words are a name."""
    text = seen.text
    if MEDIUM_BEFORE.search(seen.before(segment[0].start, 32)) or PEOPLE_DO.match(text, segment[-1].end):
        return True
    if text.startswith(("'s ", "’s "), segment[-1].end):
        return True
    return segment[0].start == 0 and text[segment[-1].end : segment[-1].end + 1] == "\n" and text.count("\n") > 1


def _single(seen: Seen, part: _Part, run: Sequence[_Part], following: _Part | None, begins: bool, before: str) -> bool:
    """Whether one word alone, with initials perhaps, is a name."""
    text = seen.text
    if following is not None and (following.ordinary or _company(following)):
        return False
    if any(other.ordinary and other.end + 1 == part.start for other in run) and not begins and not _opens(seen, part, run):
        return False
    if (part.word.isupper() and len(part.word) > 3 and not (text.isupper() and part.flags & COMMON)) or (
        "-" in part.word and not part.flags & FIRST
    ):
        return False
    called = part.start == 0 and VOCATIVE.match(text, part.end) is not None
    if not part.flags:
        named = (
            MEDIUM_BEFORE.search(before)
            or _CALLED.search(text, max(0, part.start - 2), part.end + 1)
            or (begins and _HAS.match(text, part.end))
        )
        return (
            bool(named)
            or called
            or bool(PEOPLE_DO.match(text, part.end))
            or _SPOKEN.search(before) is not None
            or (not begins and LISTED.search(before) is not None)
        )
    if called:
        return part.named and (not part.flags & WORD or bool(part.flags & FIRST))
    if _PLACED.search(before[-20:]) and not part.flags & FIRST:
        return False
    if part.flags & PLACE:
        return bool(part.flags & FIRST and MEDIUM_BEFORE.search(before))
    if part.flags & FIRST and not part.flags & WORD:
        return True
    if part.flags & FIRST and part.flags & COMMON:
        return not begins or AFTER.match(text, part.end) is not None
    if part.flags & LAST and not part.flags & WORD:
        return not begins or bool(AFTER.match(text, part.end) or _ALONE.match(text, part.end))
    return bool(part.flags & LAST and not begins and LISTED.search(before))


def _opens(seen: Seen, part: _Part, run: Sequence[_Part]) -> bool:
    """Whether all that stands before it in its run is the first word of a sentence: `Why Katrine`, `Tell Ivan`."""
    return run[0].end + 1 == part.start and _START.search(seen.text, max(0, run[0].start - 4), run[0].start) is not None


def _again(seen: Seen, found: Sequence[Finding], parts: Sequence[_Part]) -> Iterator[Finding]:
    """The other places of names already found, their parts alone unless these are ordinary words too; and unknown words that `and` joins to a name."""
    if not found or not parts:
        return
    starts, ends = {name.start for name in found}, {name.end for name in found}
    for part in parts:
        if part.flags & (WORD | PLACE) or part.initial or part.word.isupper():
            continue
        joined = _AND.match(seen.text, part.end)
        before = _AND_BEFORE.search(seen.text, max(0, part.start - 5), part.start)
        if (joined and joined.end() in starts) or (before and before.start() in ends):
            yield Finding(part.start, part.end, "person", 0.65)
    known = {word for name in found for word in re.findall(r"[^\W\d_]{3,}(?:['’\-][^\W\d_]+)*", seen.text[name.start : name.end])}
    for part in parts:
        if part.word in known and (not part.flags & WORD or part.flags & COMMON):
            yield Finding(part.start, part.end, "person", 0.7)


def _small(seen: Seen) -> Iterator[Finding]:
    """In a text without capitals: what is introduced as a name, and a known first name with what can be a surname behind it."""
    words = [
        _Part(match.start(), match.end(), match.group(), _flags(_POSSESSIVE.sub("", match.group())))
        for match in _LOW_WORD.finditer(seen.text)
    ]
    words = [
        _Part(part.start, part.start + len(_POSSESSIVE.sub("", part.word)), _POSSESSIVE.sub("", part.word), part.flags) for part in words
    ]
    here = 0
    found: list[Finding] = []
    left: list[_Part] = []
    while here < len(words):
        count, sure = _small_name(seen, words, here)
        if count:
            found.append(_finding(words[here : here + count], sure))
        else:
            left.append(words[here])
        here += max(count, 1)
    yield from found
    yield from _again(seen, found, left)


def _small_name(seen: Seen, words: Sequence[_Part], here: int) -> tuple[int, float]:
    """How many words from here are a name, and how sure."""
    part = words[here]
    named = "name" in seen.before(part.start, 16)
    if (part.flags & WORD and not part.flags & COMMON) or (part.flags & PLACE and not named) or len(part.word) < 3:
        return 0, 0.0
    count = 1
    while count < 4 and here + count < len(words):
        after = words[here + count]
        if (
            seen.text[words[here + count - 1].end : after.start] != " "
            or (after.flags & (WORD | PLACE) and not (after.initial and after.word not in ("a", "i")))
        ) and not (after.word == "a" and here + count + 1 < len(words) and words[here + count + 1].clear):
            break
        count += 1
    while count > 1 and words[here + count - 1].initial:
        count -= 1
    before = seen.before(part.start, 40)
    if _strong(before) or _LOW_TITLE.search(before):
        return count, 0.8
    if count > 1 and part.flags & FIRST and (part.clear or words[here + count - 1].clear):
        return count, 0.7
    if (
        part.clear
        and part.flags & FIRST
        and (part.flags & COMMON or PEOPLE_DO.match(seen.text, part.end) or (MEDIUM_BEFORE.search(before) and len(part.word) > 3))
    ):
        return 1, 0.6
    return 0, 0.0
