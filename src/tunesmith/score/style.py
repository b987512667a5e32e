"""Style as a machine can check it: which rules of a style guide an answer keeps, in English.

Each rule is a yes or a no about one answer; the style score of an answer is the share of the guide's rules that it keeps, so what keeps
all scores 1. An answer without a word keeps none. Rules see form alone: an answer may keep every one and be wrong, off the point or
unkind, so a style score belongs beside a measure of what is said.

Passive voice and contractions are told by patterns, reading level by the formula of Kincaid et al. (1975) over syllables that are counted
by vowels; how often the patterns are right on sentences of our own is held by a test. Pure, and without numpy: a recipe's typo is answered
before that could be loaded.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["formal", "plain"]
Speaker = Literal["i", "we", "nobody"]
AFTER_SIGN_OFF = 6
"""Words that may follow a sign-off: a name, a shop."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SHORTENED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|e\.g|i\.e|etc|vs|approx|[A-Z])\.(?=\s)")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n")
_EMOJI = re.compile(
    "[\U0001f170-\U0001f251\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55\ufe0f]|(?<!\\S)(?:[:;=][-^']?|8[-^])[)(DPp/|](?!\\w)"
)
_CONTRACTED = re.compile(
    r"\b\w+(?:n['’]t|['’](?:re|ve|ll|d|m))\b|\b(?:it|that|there|here|what|who|he|she|let|where|how)['’]s\b", re.IGNORECASE
)
_LOOSE_WORDS = (
    "gonna wanna gotta kinda sorta yeah yep nope ok okay hey hiya guys stuff cool awesome super dunno lots cheers ain't thx pls lol btw"
)
_STIFF_WORDS = (
    "utilise utilize utilised utilized commence commenced endeavour endeavor aforementioned herewith hereby thereof therein whilst henceforth "
    "notwithstanding pursuant facilitate ascertain terminate furthermore heretofore forthwith remuneration"
)
_LOOSE, _STIFF = frozenset(_LOOSE_WORDS.split()), frozenset(_STIFF_WORDS.split())
_PARTICIPLES = (
    "been begun bought brought built caught chosen done drawn driven eaten felt found forgotten given gone held hidden kept known laid led left lent lost "
    "made meant met paid put read ridden run said seen sent set shown shut sold spent stolen taken taught thought thrown told understood won "
    "worn written cut hit hurt let broken spoken driven grown flown sworn torn bound fed fought heard hung"
)
_NOT_PASSIVE = (
    "tired interested excited pleased delighted worried concerned married located based supposed used bored ashamed relaxed sacred naked"
)
_PASSIVE = re.compile(
    r"\b(?:am|is|are|was|were|be|been|being|get|gets|got|['’](?:re|m))\s+(?:(?:not|never|also|now|already|always|often|just|only|\w+ly)\s+){0,2}"
    rf"(?!(?:{'|'.join(_NOT_PASSIVE.split())})\b)(?:\w{{2,}}ed|{'|'.join(_PARTICIPLES.split())})\b(?!\s+(?:to be|that)\b)",
    re.IGNORECASE,
)
_YOUR_WORDS = "you your yours yourself yourselves you're you've you'll you'd"
_MY_WORDS = "i me my mine myself i'm i've i'll i'd"
_OUR_WORDS = "we us our ours ourselves we're we've we'll we'd"
_YOU, _I, _WE = (frozenset(words.split()) for words in (_YOUR_WORDS, _MY_WORDS, _OUR_WORDS))
_VOWELS = re.compile(r"[aeiouy]+")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer taken apart once, for every rule."""

    text: str
    words: tuple[str, ...]
    """Case folded, with straight apostrophes."""
    sentences: tuple[str, ...]
    """None without a word."""

    @classmethod
    def of(cls, text: str) -> "Said":
        """Sentences end at marks and line breaks; `Mr.` and the like end none."""
        guarded = _SHORTENED.sub(lambda match: match[0].replace(".", "\x00"), text)
        parts = (part.replace("\x00", ".").strip() for part in _SENTENCE_END.split(guarded))
        sentences = tuple(part for part in parts if _WORD.search(part))
        return cls(text, tuple(words_of(text)), sentences)


def words_of(text: str) -> list[str]:
    """Words of a text, case folded, with straight apostrophes."""
    return [word.casefold().replace("’", "'") for word in _WORD.findall(text)]


def syllables(word: str) -> int:
    """By runs of vowels, a silent e apart; at least one."""
    folded = word.casefold()
    count = len(_VOWELS.findall(folded))
    if folded.endswith("e") and not folded.endswith(("le", "ee", "ye")) and count > 1:
        count -= 1
    return max(count, 1)


def grade(said: Said) -> float:
    """School years it takes to read a text: 0.39 words a sentence + 11.8 syllables a word - 15.59 (Kincaid et al., 1975)."""
    count = len(said.words)
    return 0.39 * count / len(said.sentences) + 11.8 * sum(map(syllables, said.words)) / count - 15.59


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What a guide asks for. What is None or empty is not asked."""

    sentence_words: int | None = None
    """Most words of any sentence."""
    answer_words: int | None = None
    """Most words of an answer."""
    forbidden: tuple[str, ...] = ()
    """Words and phrases that must not stand in an answer, whatever their case."""
    must_have: tuple[str, ...] = ()
    """Words and phrases of which each must."""
    greeting: tuple[str, ...] = ()
    """An answer begins with one of them."""
    sign_off: tuple[str, ...] = ()
    """An answer ends with one of them, a name after it apart."""
    tone: Tone | None = None
    """`formal`: no contractions and no loose words; `plain`: no stiff ones."""
    emoji: bool | None = None
    """False: none, and no smileys of characters; True: at least one."""
    exclamations: int | None = None
    """Most exclamation marks."""
    passive: int | None = None
    """Most sentences in the passive voice."""
    address: bool | None = None
    """True: the reader is spoken to (you, your); False: is not."""
    speaker: Speaker | None = None
    """Who speaks: `i` (never we), `we` (never I), `nobody` (neither)."""
    reading_grade: float | None = None
    """Highest reading level, in school years."""

    @property
    def rules(self) -> list[str]:
        """Names of the rules that the guide has."""
        return [name for name, rule in RULES.items() if getattr(self, rule.setting) not in (None, ())]

    def kept(self, answer: str) -> dict[str, bool]:
        """Rule -> whether an answer keeps it."""
        said = Said.of(answer)
        return {name: bool(said.words) and RULES[name].holds(said, self) for name in self.rules}

    def score(self, answer: str) -> float:
        """The share of rules kept; 1 where the guide has none and the answer a word."""
        kept = self.kept(answer)
        return sum(kept.values()) / len(kept) if kept else float(bool(_WORD.search(answer)))

    def broken(self, answer: str) -> list[str]:
        """Names of the rules that an answer breaks."""
        return [name for name, holds in self.kept(answer).items() if not holds]


def holds_phrase(words: Sequence[str], phrase: str) -> bool:
    """Whether a phrase stands among words, whole."""
    return bool(_places(words, words_of(phrase)))


def _places(words: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where a phrase begins among words."""
    if not wanted:
        return []
    return [at for at in range(len(words) - len(wanted) + 1) if list(words[at : at + len(wanted)]) == list(wanted)]


def _greets(said: Said, style: Style) -> bool:
    return any(list(said.words[: len(wanted)]) == wanted for wanted in map(words_of, style.greeting))


def _signs_off(said: Said, style: Style) -> bool:
    for wanted in map(words_of, style.sign_off):
        places = _places(said.words, wanted)
        if places and len(said.words) - places[-1] - len(wanted) <= AFTER_SIGN_OFF:
            return True
    return False


def _in_tone(said: Said, style: Style) -> bool:
    if style.tone == "plain":
        return not _STIFF & set(said.words)
    return not _LOOSE & set(said.words) and _CONTRACTED.search(said.text) is None


def _spoken_by(said: Said, style: Style) -> bool:
    words = set(said.words)
    wrong = {"i": _WE, "we": _I, "nobody": _I | _WE}[style.speaker or "nobody"]
    return not words & wrong


def _passives(said: Said) -> int:
    return sum(_PASSIVE.search(sentence) is not None for sentence in said.sentences)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the setting that asks for it, and whether an answer that has words keeps it."""

    setting: str
    holds: Callable[[Said, Style], bool]


RULES: dict[str, Rule] = {
    "sentences": Rule(
        "sentence_words", lambda said, style: max(len(_WORD.findall(one)) for one in said.sentences) <= (style.sentence_words or 0)
    ),
    "length": Rule("answer_words", lambda said, style: len(said.words) <= (style.answer_words or 0)),
    "forbidden": Rule("forbidden", lambda said, style: not any(holds_phrase(said.words, phrase) for phrase in style.forbidden)),
    "must_have": Rule("must_have", lambda said, style: all(holds_phrase(said.words, phrase) for phrase in style.must_have)),
    "greeting": Rule("greeting", _greets),
    "sign_off": Rule("sign_off", _signs_off),
    "tone": Rule("tone", _in_tone),
    "emoji": Rule("emoji", lambda said, style: (_EMOJI.search(said.text) is not None) == style.emoji),
    "exclamations": Rule("exclamations", lambda said, style: said.text.count("!") <= (style.exclamations or 0)),
    "passive": Rule("passive", lambda said, style: _passives(said) <= (style.passive or 0)),
    "address": Rule("address", lambda said, style: bool(_YOU & set(said.words)) == style.address),
    "speaker": Rule("speaker", _spoken_by),
    "reading_level": Rule("reading_grade", lambda said, style: grade(said) <= (style.reading_grade or 0.0)),
}
"""Name -> rule; a new one is a line here, a setting of `Style`, a line of `Style`'s twin in the recipe and one in `measures.NAMES`."""
