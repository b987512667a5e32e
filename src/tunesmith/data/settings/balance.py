"""The `data.balance` section: labels and groups in other proportions for training."""

from typing import Literal

from pydantic import Field, model_validator

from tunesmith.data.settings.audit import Category
from tunesmith.section import Section


class BalanceConfig(Section):
    """What is done about skew; train rows only. Swapping group terms is `data.augment.ways.counterfactual`."""

    method: Literal["off", "reweigh", "downsample", "upsample"] = "off"
    """`reweigh`: weights under which labels are equally frequent in all groups; `downsample`: drop rows of common labels; `upsample`: repeat rows of rare ones."""
    group: str | None = None
    """A column whose values are groups. `downsample` and `upsample` then balance each label within each group."""
    terms: Category | None = None
    """The groups a text names, by a built-in list, in place of a column; a row that names two is a group of its own."""
    ratio: float = Field(default=1.0, ge=1)
    """`downsample` and `upsample`: how many times the rows of the rarest the commonest may have afterwards."""
    least_rows: int = Field(default=10, ge=1)
    """`downsample`: the rarest is one that has so many rows, so that one stray label does not empty the set."""
    most_copies: int = Field(default=10, ge=1, le=1000)
    """`upsample` adds at most so many copies of a row."""

    @model_validator(mode="after")
    def _has_groups(self) -> "BalanceConfig":
        if self.group is not None and self.terms is not None:
            raise ValueError("group and terms both say what a group is: leave one out")
        if self.method == "reweigh" and self.group is None and self.terms is None:
            raise ValueError("reweigh makes labels equally frequent in all groups: name a column by group, or a list by terms")
        return self
