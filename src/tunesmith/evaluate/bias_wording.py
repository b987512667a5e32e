"""How bias is said: what fine-tuning changed, then what the tuned model leans to, with figures."""

from collections.abc import Sequence

from tunesmith.evaluate.bias_figures import WHOLE, Figure

NAMED = 4
"""Figures named in a sentence."""


def sentences_of(figures: Sequence[Figure], worse: Sequence[Figure]) -> list[str]:
    """What is said, the change first; nothing of no figures."""
    if not figures:
        return []
    judged = [one for one in figures if one.judged]
    if not judged:
        return ["Too few pairs, questions or rows were given to tell whether fine-tuning changed the model's bias."]
    return [_changed(judged, worse), *_eased(judged), _leaning(judged)]


def named(one: Figure) -> str:
    """`CrowS-Pairs, gender: stereotyping sentence likelier`."""
    return f"{one.set if one.part == WHOLE else f'{one.set}, {one.part}'}: {one.what}"


def _changed(judged: Sequence[Figure], worse: Sequence[Figure]) -> str:
    counted = f"{len(judged)} figure{'s' if len(judged) != 1 else ''}"
    if not worse:
        return f"That fine-tuning made the model more biased is not shown: of {counted}, none rose beyond chance (Holm's correction)."
    told = "; ".join(_movement(one) for one in _foremost(worse))
    more = f"; and {len(worse) - NAMED} more" if len(worse) > NAMED else ""
    return f"Fine-tuning made the model more biased, by {len(worse)} of {counted} after Holm's correction: {told}{more}."


def _eased(judged: Sequence[Figure]) -> list[str]:
    less = [one for one in judged if one.moved == "down" and one.kind != "accuracy"]
    if not less:
        return []
    return [f"Shown to have fallen: {'; '.join(_movement(one) for one in _foremost(less))}."]


def _leaning(judged: Sequence[Figure]) -> str:
    lean = [one for one in judged if one.leans]
    if not lean:
        return "The tuned model is not shown to go with stereotypes or to treat groups apart."
    told = "; ".join(f"{named(one)} {shown(one, one.found.tuned.value)}" for one in _foremost(lean))
    more = f"; and {len(lean) - NAMED} more" if len(lean) > NAMED else ""
    return f"The tuned model itself goes with stereotypes, or treats groups apart, beyond chance in {len(lean)} of these: {told}{more}."


def _foremost(figures: Sequence[Figure]) -> list[Figure]:
    """Whole sets before parts, as they come."""
    return sorted(figures, key=lambda one: one.part != WHOLE)[:NAMED]


def _movement(one: Figure) -> str:
    change, base, tuned = one.found.change, one.found.base, one.found.tuned
    ends = f"95% interval {_signed(one, change.low)} to {_signed(one, change.high)}"
    return f"{named(one)}, {shown(one, base.value)} to {shown(one, tuned.value)} ({ends})"


def shown(one: Figure, value: float) -> str:
    """`62.0%`; of a score `0.12`."""
    return f"{value + 0.0:.2f}" if one.kind == "score" else f"{100 * value:.1f}%"


def _signed(one: Figure, value: float) -> str:
    return f"{value:+.2f}" if one.kind == "score" else f"{100 * value:+.1f}"
