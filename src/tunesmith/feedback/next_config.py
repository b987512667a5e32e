"""When a next round begins, what it learns from, and what it must show to be promoted."""

from typing import Literal

from pydantic import Field

from tunesmith.section import Section


class WhenConfig(Section):
    """What makes a next round due: any one of these. Without new feedback none ever is."""

    reviewed: int | None = Field(default=None, ge=1)
    """So many reviewed opinions that no round has used."""
    drift: bool = False
    """What is asked has drifted away from the training rows; looked for once a day."""
    days: float | None = Field(default=None, gt=0)
    """So many days since the last next round, or since the champion was promoted."""


class NextConfig(Section):
    """The next round: from feedback to a champion that is shown to be better, or to the reason why there is none."""

    when: WhenConfig | None = None
    """What makes it due; null: any feedback that no round has used."""
    least: int = Field(default=1, ge=1)
    """Fewer new opinions than this never make a round."""
    unreviewed: bool = False
    """Learn from opinions that nobody has reviewed too, save those that were set aside. Whoever may give feedback then teaches the model."""
    form: Literal["auto", "labels", "corrections", "pairs", "thumbs"] = "auto"
    """What rows are made of; auto: labels or corrections, where there are any, else pairs, else thumbs."""
    replay: float = Field(default=1.0, ge=0)
    """Rows of the champion's own training set mixed in, for each new row; at least one of each label."""
    gain: float = Field(default=0.0, ge=-1, le=1)
    """What the lower end of the interval of the gain over the champion on its test set must be above, as a fraction; each look widens it."""
