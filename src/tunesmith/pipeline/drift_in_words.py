"""A signal in a sentence: what moved, from how much to how much. Names labels and lengths, never a word of a request."""

from tunesmith.score.drift import Signal
from tunesmith.score.sketch import Frame


def sentence(signal: Signal, frame: Frame | None) -> str:
    """What moved, from how much to how much, and how surely."""
    p = "p < 0.0001" if signal.p_look < 0.0001 else f"p = {signal.p_look:.2g}"
    what, before, now = _moved(signal, frame)
    return f"{what}: {before:.1%} -> {now:.1%} (against {signal.against}, {signal.answers:,} answers, {p} over all signals)"


def _moved(signal: Signal, frame: Frame | None) -> tuple[str, float, float]:
    shift, variable = signal.shift, None
    if frame is not None:
        variable = next((one for one in frame.variables if one.name == shift.variable), None)
    if variable is None:
        return "good opinions", shift.before, shift.now
    if variable.labels:
        known = shift.at < len(variable.labels)
        return (f"class '{variable.labels[shift.at]}'" if known else "classes not known before"), shift.before, shift.now
    edge = variable.edges[shift.at]
    above = 1 - shift.before, 1 - shift.now
    if variable.name == "unknown":
        return f"texts with over {edge:.0%} of words that training rows don't hold", *above
    if variable.signal == "embedding":
        return f"texts about other things (direction {variable.name.rpartition('.')[2]} of meaning, over {edge:.2g})", *above
    if variable.name == "confidence":
        return f"answers with a confidence up to {edge:.2f}", shift.before, shift.now
    what = "questions" if variable.name == "length" else "answers"
    return f"{what} of up to {edge:,.0f} characters", shift.before, shift.now
