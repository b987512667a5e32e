"""The section `data.anonymise`: what becomes of each kind of personal data."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from tunesmith.section import Section

Treatment = Literal["pseudonym", "tag", "keep"]
"""A stand-in of the same shape, the kind in brackets (`[PERSON]`), or nothing done."""


class AnonymiseConfig(Section):
    """Personal data and secrets in all text of a row, its other columns included; labels are never rewritten."""

    persons: Treatment = "pseudonym"
    """Names of people: the same name has the same stand-in across the data set, its parts alone too."""
    emails: Treatment = "pseudonym"
    """E-mail addresses; a name in one becomes the stand-in of that name. Stand-ins end in `.example.org`."""
    phones: Treatment = "pseudonym"
    """Telephone numbers; stand-ins keep the grouping and begin, behind the country, with 000."""
    addresses: Treatment = "pseudonym"
    """Postal addresses; words for street and flat stay, names and numbers go."""
    cards: Treatment = "tag"
    """Card numbers; a stand-in begins with 0000, which no issuer has, and passes Luhn's test."""
    ibans: Treatment = "tag"
    """Bank accounts; a stand-in has the check digits 00, which no account has."""
    ids: Treatment = "tag"
    """National numbers, passports, driving licences; the digits of a stand-in begin with 000."""
    ips: Treatment = "pseudonym"
    """IP addresses; stand-ins are of ranges that are never routed (198.18.0.0/15, 2001:db8::/32)."""
    urls: Treatment = "pseudonym"
    """URLs and domains; stand-ins end in `.example.org`."""
    birth_dates: Treatment = "tag"
    """Dates of birth; a stand-in is another date within two years."""
    secrets: Literal["tag", "keep"] = "tag"
    """Keys, tokens and passwords."""
    model: Path | None = None
    """A token-classification model (folder or bundle) whose findings are joined to those of the rules; never downloaded."""
    map: Path | None = None
    """File to write what was replaced by which stand-in to: outside the data set's folder, mode 0600, must not exist. It undoes everything."""
    key: Path | None = None
    """File of at least 16 bytes that stand-ins are drawn with. Without it they follow from the seed: who has the recipe can test a guess."""

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        kept = [name for name, _ in KIND_OF.items() if getattr(self, name) == "keep"]
        if len(kept) == len(KIND_OF):
            raise ValueError("every kind is kept, so there is nothing to anonymise: leave the section out")
        if self.map is not None and not any(getattr(self, name) == "pseudonym" for name in KIND_OF):
            raise ValueError("map is asked for, but no kind is given stand-ins: set one to pseudonym, or leave map out")
        return self

    def treatments(self) -> dict[str, Treatment]:
        """Kind, as findings name it, to what becomes of it; kept ones left out."""
        return {kind: getattr(self, name) for name, kind in KIND_OF.items() if getattr(self, name) != "keep"}


KIND_OF = {
    "persons": "person",
    "emails": "email",
    "phones": "phone",
    "addresses": "address",
    "cards": "card",
    "ibans": "iban",
    "ids": "id",
    "ips": "ip",
    "urls": "url",
    "birth_dates": "birth_date",
    "secrets": "secret",
}
"""Field of the section to the kind of a finding."""
