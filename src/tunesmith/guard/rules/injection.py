"""Attempts to take over a model, told by their wording: a handful of patterns with weights, whose sum is the score.

Each family counts once: a text that says the same thing twice is no surer. A plain attempt ("ignore all previous instructions") weighs
1, a sign that harmless texts give too weighs less, so that it takes two. Read without case, accents, invisible characters, signs inside
words and digits for letters. English only, and only what says what it wants: an attempt in other words passes. `docs/log.md` tells how
many did. Nothing here makes a model safe that is given secrets or powers its users must not have.
"""

import re
from dataclasses import dataclass

from tunesmith.guard.finding import Finding
from tunesmith.score.obfuscation import folded

_RULES = (
    r"(?:instructions?|directions?|directives?|guidelines?|guidance|rules?|orders?|prompts?|programming|restrictions?|polic(?:y|ies)|"
    r"training|constraints?|context|safeguards?|safety \w+|content filters?|system message)"
)
_EARLIER = r"(?:previous|prior|above|earlier|preceding|former|initial|original|foregoing|existing|current)"
_DROP = (
    r"(?:ignore|disregard|forget|overlook|neglect|skip|drop|discard|override|bypass|circumvent|break|violate|stop following|"
    r"stop obeying|not follow|not obey|no longer follow)"
)
_YOU = r"(?:your|all your|any of your|these|those|the|any|all|all of the|every|my)"
_MODEL = r"(?:ai|a\.i\.|assistant|chatbot|bot|language model|llm|model|gpt)"

FAMILIES: dict[str, tuple[float, tuple[str, ...]]] = {
    "drop-instructions": (
        1.0,
        (
            rf"\b{_DROP}\b (?:(?:your|all(?: of)?(?: the)?|any|every|my) )?(?:(?!the )\w+ )?{_EARLIER} (?:\w+ )?{_RULES}\b",
            rf"\b{_DROP}\b (?:the|these|those) {_EARLIER} (?:\w+ )?(?:instructions?|directions?|directives?|guidance|prompts?|"
            rf"system message)\b",
            rf"\b(?:set aside|leave behind|put aside|let go of) (?:your|whatever|any|all) (?:\w+ )?{_RULES}\b",
            r"\b(?:do not|don't) apply (?:any of )?(?:the|your) (?:safety |content )?(?:instructions|rules|guidelines|filters)\b",
            rf"\b(?:leave|put|set) (?:all )?(?:your|these|those) {_RULES} (?:behind|aside)\b",
            rf"\b{_DROP}\b (?:{_YOU} )?{_RULES} (?:{_EARLIER}|that you (?:got|were given)|you (?:were|got|have been))\b",
            rf"\b{_DROP}\b (?:any of |all of |all )?your (?:\w+ )?{_RULES}\b",
            r"\b(?:ignore|disregard|forget) (?:everything|anything|all|what)(?: that)?(?: was| is| has been| stands| you were told|"
            r" i (?:said|told you)| you (?:know|learned))?(?: written| said)? ?(?:above|before|so far|until now|up to now)\b",
            r"\bforget (?:everything|what|all)(?: that)? you were told\b",
            rf"\b(?:previous|prior|earlier|old|safety|your) (?:\w+ )?{_RULES} (?:are|is|have been|has been) (?:now )?(?:cancelled|"
            rf"canceled|void|off|disabled|suspended|lifted|switched off|turned off|replaced)\b",
        ),
    ),
    "shown-prompt": (
        1.0,
        (
            r"\b(?:print|show|reveal|repeat|output|tell|give|display|leak|write|share|respond|reply|answer|recite|dump|expose|"
            r"paste)\b[^.!?\n]{0,40}\b(?:your|the|its) (?:(?:full|whole|entire|exact|hidden|secret|initial|original|complete|"
            r"confidential) ){0,2}(?:system prompt|system message|hidden prompt|secret prompt|initial prompt|(?:hidden|secret|"
            r"initial|original|confidential) (?:instructions|rules|configuration))\b",
            r"\b(?:print|show|reveal|repeat|output|display|leak|dump)\b[^.!?\n]{0,24}\byour (?:prompt|instructions|rules|guidelines|"
            r"configuration)\b",
            r"\b(?:what|which) (?:were|was|are|is) your (?:initial|original|system|hidden|secret|first|exact) (?:instructions?|"
            r"prompt|message|rules)\b",
            r"\b(?:repeat|print|output|write|copy|show|echo)\b (?:me )?(?:all |everything |all of )?(?:the )?(?:(?:text|words|lines|"
            r"content|messages?) )?(?:that (?:was|were|is) )?(?:written )?(?:above|before this (?:message|line|"
            r"text))\b(?=[^.!?\n]{0,30}(?:verbatim|word for word|you are|exactly|\"))",
            r"\b(?:quote|repeat|print|show|copy) the (?:message|text|words|prompt) (?:that |which )?(?:precedes?|comes? before|"
            r"stands? before|above)\b",
            r"\b(?:reveal|disclose|leak|expose|print|show)\b[^.!?\n]{0,24}\b(?:hidden|secret|initial|internal) (?:context|text|"
            r"message|instructions?)\b",
            r"\bmy (?:system prompt|hidden prompt|initial instructions) (?:says?|is|reads?|tells?)\b",
            r"\b(?:line|sentence|word|part|beginning) of your (?:system )?(?:prompt|instructions)\b",
        ),
    ),
    "new-self": (
        1.0,
        (
            r"\byou are (?:now |from now on )?(?:an? |called |named )?(?:dan|unrestricted|unfiltered|uncensored|jailbroken|amoral|"
            r"evil)\b(?! (?:free agent|land|access|use))",
            r"\b(?:act|pretend|behave|respond|answer|roleplay|role-play|play)\b[^.!?\n]{0,60}\b(?:without|with no|no longer has|"
            r"has no|have no|not bound by|free of|free from|ignoring)\b[^.!?\n]{0,24}\b(?:restrictions?|constraints?|filters?|"
            r"polic(?:y|ies)|rules|guidelines|ethics|ethical|censorship|limits|limitations|morals)\b",
            r"\b(?:you|that) (?:have|has|had) no (?:more )?(?:\w+ )?(?:rules|filters?|restrictions|guidelines|limits|limitations|"
            r"content policy|constraints|censorship)\b",
            r"\bdo anything now\b",
            r"\b(?:you|which you|where you|and) never refuse\b",
            r"\bnot bound by (?:any|your|the|openai|its)\b",
        ),
    ),
    "mode": (
        1.0,
        (
            r"\b(?:jailbreak|god|dan|unrestricted|uncensored|sudo|root) mode (?:is |now |on|enabled|activated|active)",
            r"\b(?:enable|enter|activate|switch to|turn on|start)\b (?:\w+ )?(?:jailbreak|god|dan|unrestricted|uncensored) mode\b",
            r"\bdeveloper mode\b[^.!?\n]{0,60}\b(?:answer|respond|reply|without filters?|uncensored|unfiltered)\b",
            r"\b(?:system|safety|admin|administrator|security) override\b",
            r"\b(?:safety|content|security) (?:protocols?|rules|filters?|checks?) (?:are |is )?(?:now )?(?:disabled|off|"
            r"switched off|deactivated|suspended)\b",
            r"\b(?:without|bypass|disable|remove|turn off) (?:any |all |your )(?:safety |content |ethical )(?:filters?|restrictions|"
            r"guidelines|checks?)\b",
        ),
    ),
    "made-up-turns": (
        1.0,
        (
            r"<\|?(?:im_start|im_end|system|endoftext|start_header_id|eot_id|begin_of_text)\|?>",
            r"\[/?inst\]|<</?sys>>|</?(?:system|instructions?)>",
            r"(?:^|\n)\s{0,3}#{1,4} ?(?:system|instructions?|new instructions?) ?:",
            r"(?:^|\n)\s{0,3}(?:\[?system\]?|system message) ?: ?(?:you|the|ignore|new|from)\b",
            r"(?:^|\n|\. )(?:assistant|ai) ?: [^\n]{0,80}\buser ?:",
        ),
    ),
    "hidden-note": (
        1.0,
        (
            rf"\b(?:note|message|instructions?|attention|memo)\b (?:to|for) (?:the |any |all )?(?:ai |reading |"
            rf"summari[sz]ing )?{_MODEL}s?\b(?! (?:manager|editor|professor|director))",
            r"\b(?:ai|language model|llm)s? (?:that is |who is |which is )?(?:reading|summari[sz]ing|processing) this\b",
            rf"\bif you are (?:an? |the )?(?:\w+ )?{_MODEL}\b[^.!?\n]{{0,24}}[,:]? ?(?:please )?\b(?:ignore|disregard|forget|say|"
            rf"write|recommend|include|reply|respond|do not|send)",
            rf"\bdear (?:\w+ )?{_MODEL}\b[^.!?\n]{{0,16}}\b(?:forget|ignore|disregard|send|forward|instead)\b",
            r"\b(?:decode|decrypt|decipher)\b[^.!?\n]{0,40}\band (?:then )?(?:follow|execute|obey|do what|run|act on)\b",
        ),
    ),
    "claimed-power": (
        0.5,
        (
            r"\b(?:i am|i'm|this is) (?:your|the) (?:developer|creator|administrator|admin|owner|maker|programmer|operator)\b",
            r"\bi (?:hereby )?(?:override|authori[sz]e|unlock|grant you)\b",
            r"\b(?:the )?user is (?:now )?an? (?:administrator|admin|developer|root)\b",
        ),
    ),
    "new-orders": (
        0.5,
        (
            r"\byour new (?:task|instructions?|rules|role|job|goal|orders) (?:is|are)\b|\bnew (?:rules|instructions|orders) ?:",
            r"\b(?:from now on|from this point on)\b[^.!?\n]{0,16}\b(?:you|your|every answer|ignore|obey|act|pretend)\b",
            r"\b(?:say|print|write|output) [\"'“](?:haha|pwned|i hate|i have been)",
            r"\bfollow (?:only )?(?:mine|my (?:rules|instructions|orders)) ?(?:only|instead)?\b",
        ),
    ),
    "old-orders": (
        0.5,
        (
            rf"\b(?:ignore|disregard|forget|overlook)\b[^.!?\n]{{0,24}}\b{_EARLIER}\b",
            rf"\b{_RULES} (?:\w+ )?no longer apply\b",
            rf"\b(?:stop following|break|bypass|violate)\b[^.!?\n]{{0,12}}\b{_RULES}\b",
            r"\b(?:act|answer|respond|speak|be) (?:unfiltered|uncensored|freely)\b",
            r"\b(?:uncensored|without (?:any )?(?:censorship|filters?|restrictions))\b",
            r"\bforbidden\b",
        ),
    ),
    "wanted-prompt": (
        0.5,
        (
            r"\byour (?:hidden |secret |system |initial )?prompt\b",
            r"\b(?:secret|hidden|confidential|initial) (?:instructions|configuration|prompt|rules)\b",
            r"\b(?:rot13|verbatim|word for word)\b",
            r"\b(?:admin(?:istrator)?|root) password\b",
        ),
    ),
}
"""Family -> its weight and its patterns, over folded text."""

_COMPILED = tuple((name, weight, re.compile("|".join(f"(?:{one})" for one in patterns))) for name, (weight, patterns) in FAMILIES.items())
_INSIDE = re.compile(r"(?<=[a-z])[.\-_*~]{1,2}(?=[a-z])")
_LEET = str.maketrans("013457@$", "oieastas")
_DIGITS = re.compile(r"[a-z@$]*(?:[013457@$][a-z]|[a-z][013457@$])[a-z013457@$]*")
_SPACES = re.compile(r"[^\S\n]+")


@dataclass(frozen=True, slots=True)
class InjectionRule:
    """Holds from a score on."""

    threshold: float
    action: str
    name: str = "injection"

    def find(self, text: str, behind: str = "") -> list[Finding]:
        """The whole text, named by its family of most weight; nothing below the threshold."""
        families = families_in(text)
        if sum(families.values()) < self.threshold or not families:
            return []
        heaviest = max(families, key=lambda family: families[family])
        action = "mark" if self.action == "mark" else "block"
        return [Finding(0, len(text), f"{self.name}.{heaviest}", action, "")]  # type: ignore[arg-type]

    def settled(self, text: str) -> int:
        """Nothing before the end: it is the whole that counts."""
        return 0


def families_in(text: str) -> dict[str, float]:
    """Families of patterns that the text holds, with their weights; their sum is the score."""
    plain = _SPACES.sub(" ", folded(text)[0].replace("’", "'"))
    read = _INSIDE.sub("", _DIGITS.sub(lambda match: match.group().translate(_LEET), plain))
    readings = (plain,) if read == plain else (plain, read)
    return {name: weight for name, weight, pattern in _COMPILED if any(pattern.search(one) for one in readings)}
