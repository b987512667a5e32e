"""The `data.fill` section of a recipe."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from tunesmith.section import Section


class Constant(Section):
    """The same value for every row that lacks one."""

    constant: str | int | float
    """What is written; a number for `value`."""


class FromColumn(Section):
    """The value of another column of the same row; where that is missing too, the row is dropped."""

    model_config = ConfigDict(populate_by_name=True)
    column: str = Field(alias="from", min_length=1)
    """The other column, one that has no role of its own."""


Word = Literal["drop", "ask", "most_frequent"]


def _kind(policy: Any) -> str | None:
    if isinstance(policy, str):
        return "word"
    if isinstance(policy, dict):
        return "constant" if "constant" in policy else "from"
    return "constant" if isinstance(policy, Constant) else "from"


Policy = Annotated[
    Annotated[Word, Tag("word")] | Annotated[Constant, Tag("constant")] | Annotated[FromColumn, Tag("from")],
    Discriminator(_kind),
]
"""`drop`; `ask`; `most_frequent`; `{constant: x}`; `{from: other_column}`."""


class FillConfig(Section):
    """What becomes of rows that lack a value. Whatever is done is counted, by the column's name."""

    fields: dict[str, Policy] = Field(default={})
    """Role (label, text, prompt, completion ...) or column -> policy. `most_frequent` is for labels, and for columns without a role: there within rows of one label."""
    default: Literal["drop", "ask"] = "drop"
    """For roles not named: drop the row, or stop and say how many rows lack it and where. Other columns may be empty unless named."""
    missing: tuple[str, ...] = ("null", "nan", "<na>", "#n/a")
    """Whole values that say nothing, wherever they stand, whatever their letter case. Empty ones never do."""
    missing_labels: tuple[str, ...] = ("none", "n/a", "-", "?")
    """The same for labels and columns only, since in a text they may be words. One that at least 1% of all rows, and five, carry is a label."""
