"""Keys, tokens and passwords. Most issuers mark theirs with a prefix, which is what is looked for; a bare run of random letters is
believed only behind the name of a secret, and only if it looks drawn at random. Code blocks are searched like all text.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.anonymise.seen import Seen

_W = r"[A-Za-z0-9_\-]"
_FORMS: tuple[tuple[str, str], ...] = (
    # a literal that must be there, then the form
    ("AKIA ASIA ABIA ACCA AROA AIDA", r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{16}"),
    ("ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    ("github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("glpat- gldt- glrt- glptt- glsoat- glcbt-", rf"gl(?:pat|dt|rt|ptt|soat|cbt)-{_W}{{20,64}}"),
    ("xox xapp-", r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9\-]{10,250}"),
    ("hooks.slack.com", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_\-]{20,120}"),
    ("sk_live_ sk_test_ rk_live_ rk_test_ whsec_", r"(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,247}"),
    ("AIza", r"AIza[A-Za-z0-9_\-]{35}"),
    ("GOCSPX-", r"GOCSPX-[A-Za-z0-9_\-]{28}"),
    ("ya29.", r"ya29\.[A-Za-z0-9_\-]{20,500}"),
    ("sk-ant-", rf"sk-ant-{_W}{{20,200}}"),
    ("sk-", rf"sk-(?:(?:proj|svcacct|admin|or-v1|None)-)?{_W}{{20,200}}"),
    ("hf_", r"hf_[A-Za-z0-9]{30,40}"),
    ("npm_", r"npm_[A-Za-z0-9]{36}"),
    ("pypi-", r"pypi-[A-Za-z0-9_\-]{50,400}"),
    ("dckr_pat_", r"dckr_pat_[A-Za-z0-9_\-]{20,64}"),
    ("SG.", r"SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,64}"),
    ("SK AC", r"(?:SK|AC)[0-9a-f]{32}"),
    ("key- -us", r"key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}"),
    (":AA", r"\d{8,10}:AA[A-Za-z0-9_\-]{32,34}"),
    (".", r"[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6,7}\.[A-Za-z0-9_\-]{27,40}"),
    ("discord", r"https://(?:\w{2,8}\.)?discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_\-]{60,80}"),
    ("eyJ", r"eyJ[A-Za-z0-9_\-]{8,2000}\.eyJ[A-Za-z0-9_\-]{8,8000}(?:\.[A-Za-z0-9_\-]{8,2000})?"),
    ("dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    ("do", r"do[opr]_v1_[0-9a-f]{64}"),
    ("HRKU-", r"HRKU-[A-Za-z0-9_\-]{36,64}"),
    ("shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("sq0 EAAA", r"sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{22,43}|EAAA[A-Za-z0-9_\-]{56,60}"),
    ("hv", r"hv[sbr]\.[A-Za-z0-9_\-]{24,200}"),
    ("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    ("AccountKey= SharedAccessKey=", r"(?<=AccountKey=)[A-Za-z0-9+/]{40,88}={0,2}|(?<=SharedAccessKey=)[A-Za-z0-9+/]{40,48}={0,2}"),
    ("sig=", r"(?<=[?&]sig=)[A-Za-z0-9%+/]{40,80}(?:=|%3D)?"),
    ("glsa_", r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}"),
    ("lin_api_ ntn_ secret_", r"(?:lin_api|ntn|secret)_[A-Za-z0-9]{40,50}"),
    ("NRAK- NRAA-", r"NRA[AK]-[A-Z0-9]{27}"),
    ("rubygems_", r"rubygems_[0-9a-f]{48}"),
    ("PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("gsk_ xai- r8_ pplx-", r"gsk_[A-Za-z0-9]{48,56}|xai-[A-Za-z0-9]{70,90}|r8_[A-Za-z0-9]{37}|pplx-[A-Za-z0-9]{40,60}"),
    ("ATATT3 ATCTT3", r"AT[AC]TT3[A-Za-z0-9_\-=]{60,220}"),
    ("tfp_ atlasv1.", r"tfp_[A-Za-z0-9_\-]{40,60}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{60,70}"),
)
_MARKED = tuple((tuple(marks.split()), re.compile(rf"(?<![A-Za-z0-9_])(?:{form})(?![A-Za-z0-9_])")) for marks, form in _FORMS)
_BLOCK = re.compile(
    r"-----BEGIN (?P<what>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----(?:.{0,20000}?-----END (?P=what)-----|[A-Za-z0-9+/=\s\\:,\-]{0,20000})",
    re.DOTALL,
)
_WITHIN_URL = re.compile(r"(?<![\w])[a-z][a-z0-9+.\-]{1,20}://[^\s:/@?#\"'<>]{0,128}:[^\s/@\"'<>]{2,256}@[^\s\"'<>]{2,1000}", re.IGNORECASE)
_NAMED = re.compile(
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|api[ _\-]?key|access[ _\-]?key|auth[ _\-]?key|private[ _\-]?key|client[ _\-]?secret|"
    r"encryption[ _\-]?key|"
    r"signing[ _\-]?key|account[ _\-]?key|credentials?)(?:[ _\-]?(?:key|id|value))?[\"']?(?:\s{0,4}(?:=>|:=|=|:)\s{0,4}|"
    r"\s{1,4}is\s{1,4}(?:now\s|set to\s)?)"
    r"(?P<quote>[\"'`]?)(?P<value>[^\s\"'`<>,;]{6,256})",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"\b(?:authorization\s{0,3}[:=]\s{0,3})?(?:bearer|basic|token)\s{1,3}(?P<value>[A-Za-z0-9_\-.+/=]{20,2000})", re.IGNORECASE
)
_CUES = ("pass", "pwd", "secret", "token", "key", "credential", "bearer", "basic ")
_PLAIN = re.compile(
    r"(?:\$\{?\w|%\w+%|\{\{|os\.|process\.|env\b|config\.|self\.|\w+\(|\*{3}|x{4}|\.{3}|null\b|none\b|true\b|false\b|undefined\b)",
    re.IGNORECASE,
)


def find_secrets(seen: Seen) -> Iterator[Finding]:
    """Marked tokens, private-key blocks, URLs that hold a password, and values given to the name of a secret."""
    text = seen.text
    if seen.long:
        for marks, form in _MARKED:
            if any(mark in text for mark in marks):
                for match in form.finditer(text):
                    if _drawn(match.group(), least=2.6):
                        yield Finding(match.start(), match.end(), "secret", 0.99)
        if "PRIVATE KEY" in text:
            yield from (Finding(match.start(), match.end(), "secret", 1.0) for match in _BLOCK.finditer(text))
        if "://" in text and "@" in text:
            yield from (Finding(match.start(), match.end(), "secret", 0.99) for match in _WITHIN_URL.finditer(text))
    if any(cue in seen.low for cue in _CUES):
        yield from _named(text)


def _named(text: str) -> Iterator[Finding]:
    for match in _BEARER.finditer(text):
        if _drawn(match["value"], least=3.5) and re.search(r"\d", match["value"]):
            yield Finding(*match.span("value"), "secret", 0.96)
    for match in _NAMED.finditer(text):
        value = match["value"]
        end = match.end("value")
        if not match["quote"]:
            value = value.rstrip(".,;:!?)]}")
            end = match.start("value") + len(value)
        if len(value) >= 6 and not _PLAIN.match(value) and _mixed(value, quoted=bool(match["quote"])):
            yield Finding(match.start("value"), end, "secret", 0.96)


def _mixed(value: str, quoted: bool) -> bool:
    """Whether it is no word that prose may hold there: letters and digits together, or signs, or a quoted value drawn at random."""
    digit, letter = re.search(r"\d", value), re.search(r"[A-Za-z]", value)
    sign = re.search(r"[^\w.\-']", value)
    return bool(
        (digit and (letter or sign))
        or (sign and letter and not value[-1:].isspace() and len(value) > 7)
        or (quoted and _drawn(value, least=3.0))
    )


def _drawn(value: str, least: float) -> bool:
    """Whether its characters are spread as if drawn at random: at least so many bits of entropy a character."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values()) >= least
