"""The `data.audit` section: what the rows are looked at for, and from where on a difference is told."""

import math
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunesmith.section import Section

Category = Literal["gender", "religion", "ethnicity", "age", "disability", "orientation"]
Above = Annotated[float, Field(gt=0, lt=1)]
_MOST_TERMS = 10_000


class AuditConfig(Section):
    """The bias audit. It changes no row; `data.balance` and `data.augment` do what it suggests."""

    enabled: bool = True
    """Whether rows are audited."""
    terms: tuple[Category, ...] = ("gender", "religion", "ethnicity", "age", "disability", "orientation")
    """Built-in English lists of terms by which a text names a group of people."""
    lists: dict[str, dict[str, list[str]]] = Field(default={}, max_length=100)
    """Your own: name -> group -> terms: `{region: {north: [northern, up north], south: [southern]}}`. A built-in name is added to."""
    groups: tuple[str, ...] = Field(default=(), max_length=20)
    """Columns whose values are groups: gender, region, customer kind."""
    reference: dict[str, dict[str, float]] = Field(default={}, max_length=100)
    """What the set should look like: a column of `groups`, a list of terms, or `label` -> group -> share; shares sum to 1."""
    source: str | None = None
    """The column that tells where a row comes from; the file it was read from where absent."""
    time: str | None = None
    """The column that tells when a row is from (ISO 8601 or a number); that of `data.split.time` where absent."""
    level: Above = 0.05
    """The chance that the audit tells even one difference that is none, over all it looks at (Holm)."""
    difference: Above = 0.05
    """A rate is told when it differs by so much, and the difference is beyond chance."""
    ratio: float = Field(default=2.0, gt=1)
    """A rate is told too when it is so many times another: for rare labels. Lengths of answers are told from half of that way on."""
    imbalance: float = Field(default=10.0, gt=1)
    """Labels are told to be unbalanced when the commonest has so many times the rows of the rarest."""
    label_rows: int = Field(default=10, ge=1)
    """A label with fewer train rows is told to be too rare to learn; with fewer test rows, too rare to be measured."""
    group_rows: int = Field(default=30, ge=5)
    """Groups, sources and periods of fewer rows are counted and not judged."""
    rows: int = Field(default=200_000, ge=1000)
    """Most rows looked at; of more, a seeded sample, and the report says so."""

    @model_validator(mode="after")
    def _can_be_counted(self) -> "AuditConfig":
        terms = [term for groups in self.lists.values() for listed in groups.values() for term in listed]
        if any(not re.search(r"\w", term) for term in terms) or any(not groups for groups in self.lists.values()):
            raise ValueError("each list needs a group, and each term a letter or digit: remove the empty ones")
        if len(terms) > _MOST_TERMS:
            raise ValueError(f"{len(terms):,} terms are too many: give at most {_MOST_TERMS:,}, or a column by data.audit.groups")
        return self

    @model_validator(mode="after")
    def _has_references(self) -> "AuditConfig":
        known = {*self.groups, *self.terms, *self.lists, "label"}
        for name, shares in self.reference.items():
            if name not in known:
                raise ValueError(f"reference {name!r} is nothing that is counted: name it in groups, terms or lists, or call it label")
            if len(shares) < 2 or any(share < 0 for share in shares.values()) or not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
                raise ValueError(f"the shares of reference {name!r} sum to {sum(shares.values()):g}: give two or more that sum to 1")
        return self
