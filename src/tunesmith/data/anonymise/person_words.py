"""The words around names: titles before them, what introduces them, what follows them, and what shows that no person is meant."""

import re

from tunesmith.data.anonymise.word_lists import words

PARTICLES = words("de da do dos das di del della der den van von la le du el al bin ibn ben ten ter af av zu zum y e")
"""Small words inside a surname."""

TITLES = frozenset(
    words(
        "mr mrs ms miss mx dr prof professor sir dame lord lady rev reverend fr father sr sister br brother hon judge justice capt captain col colonel "
        "maj major lt lieutenant sgt sergeant gen general cpl officer detective inspector president senator sen governor gov mayor "
        "herr frau monsieur madame mme mlle señor señora sr. sra don doña dona signor signora sig mevrouw dhr hr fru aunt uncle auntie madam doctor nurse coach"
    )
)
"""Before a name, a dot after it or not."""

STRONG_BEFORE = re.compile(
    r"(?:\b(?:(?:my|his|her|their|your|our|the|full|first|last|given|sur|maiden|family|middle|user|partner['’]s|wife['’]s|husband['’]s|"
    r"son['’]s|daughter['’]s|mother['’]s|father['’]s|child['’]s)"
    r" ?names? (?:is|was|are|will be|to)|name['’]s|(?:full |first |last |customer |patient |employee |sur|maiden |given |family )?names? ?:|"
    r"names? (?:is|was)|partner['’]s name|wife['’]s name|husband['’]s name|"
    r"i['’]?m called|am called|is called|calls? (?:me|him|her)|named (?:him|her|it|after)|(?:is|was|who is|who was|girl|boy|man|woman|child|"
    r"person|friend|someone) named|"
    r"known as|nicknamed|aka|a\.k\.a\.|(?:patient|client|customer|guardian|tenant|employee|applicant|contact|attn|attention|signed|"
    r"signature|author|from|to|cc|bcc|sender|recipient|owner|spouse)\s?:"
    r"|sincerely|(?:best |kind |warm )?regards|yours (?:truly|faithfully|sincerely)|cheers|this is|speaking with|talking to|ich heiße|"
    r"je m['’]appelle|me llamo|mi chiamo|mein name ist|"
    r"(?:change|correct) it to|your name\?|account is under|listed under|booked under|under the name(?: of)?)"
    r"[,:]?\s{1,2}[\"'“(]?|(?:^|[.!?,;\n]\s?)(?:hi|hello|hey|dear|thanks|thank you),? )\Z"
)
"""After these even a word that no list knows is a name."""

INTRODUCING = frozenset(
    words(
        "is was are be to s name called me him her it after named as nicknamed aka sincerely regards truly faithfully cheers with heiße appelle llamo chiamo ist "
        "under of hi hello hey dear thanks you m'appelle m’appelle name's name’s"
    )
)
"""The last words of what `STRONG_BEFORE` looks for, colons and question marks aside."""

MEDIUM_BEFORE = re.compile(
    r"(?:\b(?:i['’]?m|i am|by|guardian|manager|wife|husband|friend|partner|brother|sister|son|daughter|mother|father|boss|colleague|"
    r"neighbou?r|cousin|nephew|niece|commenter|reader|"
    r"player|singer|songwriter|actor|actress|director|author|artist|writer|poet|painter|star|champion|reporter|journalist|analyst|"
    r"spokes(?:man|woman|person)|ceo|founder|"
    r"starring|featuring|feat\.?|said|says|asked|told|replied|under|heard|named|meet|met|follow(?:ed)? up with|speak (?:to|with)|"
    r"spoke (?:to|with)|talk(?:ed)? (?:to|with)|calls? me|contact)"
    r"[,:]? [\"'“(]?)\Z"
)
"""After these two words in capitals that no list knows are a name."""

LISTED = re.compile(
    r"\b(?:founders?|members?|authors?|guests?|speakers?|players?|students?|colleagues?|friends?|actors?|winners?|participants?|attendees?|"
    r"brothers|sisters|children|"
    r"sons|daughters|directors?|editors?|candidates?|people|names?|employees?|passengers?|patients?|witnesses)(?: (?:are|were|is|include|"
    r"included))?:? \Z"
)
"""Before a list of persons."""

PEOPLE_DO = re.compile(
    r" (?:lives?|lived|said|says|asked|replied|told|is from|was born|had given|has given|smiled|laughed|nodded|whispered|shouted|thinks|"
    r"married|grew up|works as|worked as)\b"
)
"""What persons only do: the word before is one's name."""

AFTER = re.compile(
    r"(?:['’]s\b|['’](?= )| (?:said|says|asked|asks|told|replied|wrote|writes|lives|lived|works|worked|thinks|thought|loves|likes|wants|"
    r"wanted|called|calls|moved|speak|speaks|spoke|smiled|laughed|nodded|"
    r"spent|listed|had|has|was|is|and I|sang|sent|will|would|can|could|just|got|gave|went|came|agreed|arrived|answered|knows|knew)\b|"
    r",? (?:aged|age|born|\d{2})\b|: )"
)
"""Behind a name, where people do things."""

VOCATIVE = re.compile(
    r", (?:can|could|would|will|please|what|where|when|how|why|who|do|did|are|have|you|your|i|i['’]m|let|thanks|thank|come|don['’]t|this|my|we)\b",
    re.IGNORECASE,
)
"""Behind a name at the start of a text that speaks to its bearer."""

COMPANIES = frozenset(
    words(
        "inc llc ltd limited corp corporation company co group gmbh ag plc sa sas srl bv nv ab oy kft sro doo spa holding holdings partners associates "
        "sons brothers bros industries solutions systems technologies technology software consulting bank insurance capital ventures labs lab media studios studio foundation "
        "institute university college school academy hospital clinic church orchestra band club team fc united airlines airways hotel restaurant cafe bar theatre theater "
        "museum library festival award awards prize cup league county city town village island islands river lake bay valley beach park bridge station airport street road avenue "
        "act treaty union party government ministry department agency council committee commission times post journal magazine news weekly daily press books "
        "day week war ii iii iv vii force forces army navy court services service care international global national care health investments law firm llp lp"
    )
)
"""Close the name of something that is no person."""
