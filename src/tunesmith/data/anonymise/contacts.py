"""E-mail and IP addresses, URLs. By form alone; the domain of a URL without a scheme must end in a well-known ending."""

import ipaddress
import re
from collections.abc import Iterator

from tunesmith.data.anonymise.findings import Finding
from tunesmith.data.anonymise.seen import Seen

_LOCAL = re.compile(r"[\w.%+\-]{1,64}\Z")
_DOMAIN = re.compile(r"[^\W_][\w\-]{0,62}(?:\.[\w\-]{1,63}){1,8}")
_SCHEME = re.compile(r"\b(?:(?:https?|ftps?|sftp|ssh|wss?|git)://|www\.)[^\s<>\"`{}|\\^\[\]]{3,2000}", re.IGNORECASE)
_SURE = "com org net edu gov mil info biz io dev app ai xyz online site shop tech cloud blog co.uk org.uk ac.uk gov.uk com.au com.br co.nz co.za"
_LANDS = "de fr uk es nl se ch cz hu pl pt ro gr ie eu ca au nz jp cn br mx ru ua tr dk fi at.com lt lv ee sk si hr rs bg lu il kr tw hk sg za cy ar cl"
_BARE = re.compile(
    r"(?<![\w@./\-])(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.){1,4}(?:"
    + "|".join(sorted((ending.replace(".", r"\.") for ending in (_SURE + " " + _LANDS).split()), key=len, reverse=True))
    + r")(?![\w\-]|\.\w)(?:[/?#][^\s<>\"]{0,2000})?"
)
_FOUR = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")
_SIX = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])")
_VERSION = re.compile(r"(?:version|release|section|chapter|\bv\.?)\s*\Z", re.IGNORECASE)


def find_emails(seen: Seen) -> Iterator[Finding]:
    """From each `@` outwards, so that the work grows with the text and no faster."""
    text = seen.text
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1)
        if local and domain and "." in domain.group():
            start = local.start() + len(local.group()) - len(local.group().lstrip(".-%+"))
            end = at + 1 + len(domain.group().rstrip("-_"))
            ending = text[at + 1 : end].rpartition(".")[2]
            if start < at and len(ending) > 1 and not ending.isdigit():
                yield Finding(start, end, "email", 0.95)
        at = text.find("@", at + 1)


def find_urls(seen: Seen) -> Iterator[Finding]:
    """With a scheme or `www.`: whatever follows; without: a domain of a well-known ending, and its path."""
    text = seen.text
    if "." not in text:
        return
    if "://" in text or "www." in seen.low:
        for match in _SCHEME.finditer(text):
            yield Finding(match.start(), match.start() + _unpunctuated(match.group()), "url", 0.9)
    for match in _BARE.finditer(text):
        yield Finding(match.start(), match.start() + _unpunctuated(match.group()), "url", 0.8)


def _unpunctuated(url: str) -> int:
    """How much of it is the URL: a sentence may end behind it, or a bracket around it close."""
    end = len(url)
    while end and (url[end - 1] in ".,;:!?'’”*" or (url[end - 1] == ")" and url.count("(", 0, end) < url.count(")", 0, end))):
        end -= 1
    return end


def find_ips(seen: Seen) -> Iterator[Finding]:
    """Versions 4 and 6, but those that mean this machine or nobody (127.0.0.1, ::1, 0.0.0.0)."""
    text = seen.text
    if seen.digit and text.count(".") >= 3:
        for match in _FOUR.finditer(text):
            if _somebody(match.group()) and not _VERSION.search(text, max(0, match.start() - 12), match.start()):
                yield Finding(match.start(), match.end(), "ip", 0.9)
    if text.count(":") >= 2:
        for match in _SIX.finditer(text):
            if len(match.group()) > 5 and re.search(r"\d", match.group()) and _somebody(match.group()):
                yield Finding(match.start(), match.end(), "ip", 0.9)


def _somebody(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_multicast) and address != "255.255.255.255"
