"""What a word may be: a first name, a surname, an ordinary English word, a place. Read once, a fifth of a second, about 15 MB.

The lists stand in `lists.txt.xz`, which `build.py` writes and whose sources and licences it names. They know the commoner
names of some sixty countries in Latin letters, and of Greek, Russian, Ukrainian and others in both alphabets; nobody's list is whole.
"""

import lzma
from functools import cache
from pathlib import Path

from tunesmith.data.anonymise.word_lists import words

__all__ = ["COMMON", "FIRST", "LAST", "PLACE", "WORD", "known_words"]

FIRST, LAST, WORD, PLACE, COMMON = 1, 2, 4, 8, 16
"""COMMON is a first name that many English speakers bear; the flags of a word are added."""

_PLACES = words(
    "london paris berlin madrid rome vienna athens dublin lisbon prague budapest warsaw brussels amsterdam copenhagen oslo stockholm "
    "helsinki moscow kyiv istanbul ankara cairo lagos nairobi johannesburg delhi mumbai beijing shanghai tokyo osaka seoul bangkok "
    "singapore sydney melbourne brisbane perth auckland wellington toronto montreal vancouver ottawa chicago boston houston dallas "
    "seattle denver atlanta miami philadelphia detroit baltimore phoenix portland cleveland pittsburgh orlando tampa memphis nashville "
    "texas california florida virginia georgia alabama alaska arizona colorado washington oregon ohio kansas kentucky nevada utah "
    "manchester birmingham liverpool leeds glasgow edinburgh cardiff belfast bristol oxford cambridge york england scotland wales "
    "ireland britain america europe africa asia australia antarctica holland usa geneva zurich basel munich hamburg cologne frankfurt "
    "milan naples florence venice turin genoa bologna barcelona seville valencia lyon marseille nice bordeaux toulouse "
    "troy carolina dakota montana wyoming idaho iowa maine vermont indiana illinois michigan minnesota wisconsin missouri arkansas "
    "china israel jordan chad cuba india kenya france malta mali niger oman peru togo jamaica brazil spain italy germany "
    "louisiana mississippi tennessee delaware maryland connecticut massachusetts pennsylvania nebraska oklahoma hawaii"
)
_NEVER = words(
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october november "
    "december christmas easter english french german italian spanish russian american british polish dutch swedish norwegian danish "
    "finnish greek turkish japanese chinese korean indian canadian australian irish scottish welsh portuguese hungarian czech slovak "
    "slovenian croatian serbian romanian bulgarian ukrainian mexican brazilian african european asian christian jewish muslim islamic "
    "catholic protestant god lord jesus christ bible internet google facebook twitter amazon microsoft apple iphone android linux "
    "python java windows lol okay hey hmm wow yes yeah nope sir madam lady queen prince princess pope bot user assistant system "
    "hello hi thanks thank please sorry excuse bye good morning evening human admin customer agent support friend team everyone everybody anyone someone somebody nobody "
    "folks guys earth moon mars "
    "mother father mom mum dad daddy mama papa aunt uncle grandma grandpa sister brother son daughter professor captain doctor "
    "street road avenue city county state country river lake mountain island university college school church hospital hotel"
)
"""Words that are some person's name in a list, and are hardly ever meant so in English; `may`, `june` and `april` stay open in context."""

_BOTH = frozenset(
    words(
        "will mark rose grace hope faith joy may june april august bill rich frank chase art gene jack rob sue drew pat penny violet olive daisy "
        "lily iris ivy ruby pearl amber crystal jade dawn eve carol holly heather hazel ginger sandy misty sunny summer autumn charity destiny angel "
        "melody harmony robin jay dale glen lane forest cliff reed grant chance guy max ray rusty hunter mason carter cooper page marshall miles "
        "earnest major king prince duke earl dean young long van son dusty rocky buddy happy merry candy honey cherry berry cash price mercy patience "
        "precious essence diamond star lacy dolly kitty bunny barb buck bud chip curt dick don dee doc gale hank heath jewel kit lance laurel lucky norm "
        "pierce ram rod royal sage sherry sky stone storm sterling tad victor ward wade winter woody worth so an see do my love sung tender many in he "
        "you her the of to in had has was one two first man little white black brown green"
    )
)
"""Common first names that are also words of every day; the other common names are taken for names and nothing else."""


@cache
def known_words() -> dict[str, int]:
    """Lower-case word to the sum of its flags; a word that no list holds is not in it."""
    packed = Path(__file__).with_name("lists.txt.xz").read_bytes()
    found: dict[str, int] = {}
    for line in lzma.decompress(packed).decode().splitlines():
        word, _, flags = line.partition("\t")
        found[word] = int(flags)
    for word, may_be in found.items():
        if may_be & FIRST:
            found[word] = may_be & ~PLACE & (~WORD if may_be & COMMON and word not in _BOTH else ~0)
    for word in _PLACES:
        found[word] = found.get(word, 0) | PLACE
    for word in _NEVER:
        found[word] = WORD
    for word in ("april", "june", "may", "august", "christian", "georgia", "florence", "virginia", "carolina", "troy", "france", "paris"):
        found[word] = found.get(word, 0) | FIRST | WORD
    return found
