"""When opinions look wrong."""

from pydantic import Field

from tunesmith.section import Section


class ScreenConfig(Section):
    """What is set aside before anybody reviews it. The defaults' error rates are in `docs/log.md`."""

    sure: float = Field(default=0.9, gt=0.5, lt=1)
    """Of opinions that contradict one another, the side that is right with less than 1 - `sure` is set aside; where no side is that sure, all are."""
    shared: int = Field(default=8, ge=2)
    """A key's reliability is judged from so many answers that other keys also have opinions of."""
    reliable: float = Field(default=0.5, ge=0, lt=1)
    """A key that agrees with what is likely true less often than this has all its opinions set aside."""
    flood_least: int = Field(default=20, ge=2)
    """Fewer opinions a day are never a flood."""
    flood_keys: int = Field(default=3, ge=2)
    """So many other keys must have spoken that day, or there is nothing to compare with."""
    flood_share: float = Field(default=0.2, gt=0, lt=1)
    """A key floods a day that gave this share of the day's opinions, and"""
    flood_times: float = Field(default=4, gt=1)
    """this many times as many as the median of the other keys."""
    flood_most: float = Field(default=0.5, gt=0, lt=1)
    """A key that gave this share floods the day even where others vouch for it."""
    vouched: float = Field(default=0.75, gt=0.5, lt=1)
    """Below that share, a key that is right this often in what others judge too is busy and no flood, where that is enough to tell:"""
    vouched_shared: int = Field(default=20, ge=2)
    """so many answers."""
    copies: int = Field(default=5, ge=2)
    """Near-copies of one text from one key, each about another prompt, from so many on."""
    copy_characters: int = Field(default=20, ge=1)
    """Shorter texts may repeat: many right answers are short."""
    judge: float = Field(default=0.2, ge=0, lt=1)
    """Share of opinions that judge the next round and never train it, by user and by prompt. What was placed stays where it is."""
