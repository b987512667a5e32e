"""Find personal data in a text: every recogniser that is asked for looks at it, and what they found is settled."""

from collections.abc import Callable, Collection, Iterator

from tunesmith.data.anonymise.addresses import find_addresses
from tunesmith.data.anonymise.contacts import find_emails, find_ips, find_urls
from tunesmith.data.anonymise.findings import KINDS, Finding, settle
from tunesmith.data.anonymise.ids import find_ids
from tunesmith.data.anonymise.money import find_cards, find_ibans
from tunesmith.data.anonymise.numbers import find_birth_dates, find_phones
from tunesmith.data.anonymise.persons import find_persons
from tunesmith.data.anonymise.secrets import find_secrets
from tunesmith.data.anonymise.seen import Seen

RECOGNISERS: dict[str, Callable[[Seen], Iterator[Finding]]] = {
    "secret": find_secrets,
    "email": find_emails,
    "iban": find_ibans,
    "card": find_cards,
    "ip": find_ips,
    "url": find_urls,
    "birth_date": find_birth_dates,
    "id": find_ids,
    "address": find_addresses,
    "phone": find_phones,
    "person": find_persons,
}


def find(text: str, kinds: Collection[str] = KINDS, more: Collection[Finding] = ()) -> list[Finding]:
    """Personal data of these kinds, in order, none over another; offsets count characters.

    Args:
        text: any text; the work grows with its length and no faster.
        kinds: of `KINDS`.
        more: what a model found in the same text, to be settled with the rest.
    """
    seen = Seen(text)
    found = [finding for finding in more if finding.kind in kinds and 0 <= finding.start < finding.end <= len(text)]
    for kind, recognise in RECOGNISERS.items():
        if kind in kinds:
            found.extend(recognise(seen))
    return settle(found, text) if found else []
