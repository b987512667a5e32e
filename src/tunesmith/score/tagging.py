"""Measures of answers that are spans of a text.

A span is right where its first and last character and its label are; nothing is given for a part of it. Words are those
of `score.spans.words_of`, the same for every system whatever its tokens.

Statistics [R, 5]: spans in common, true spans, answered spans, words whose tag is right, words.
"""

from collections.abc import Sequence

import numpy as np

from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction


def tabulate(predictions: Sequence[Prediction]) -> Floats | None:
    """Counts of each row, [R, 5]; None where a row has no spans of the kind."""
    if any(not isinstance(one.truth, tuple) or not isinstance(one.found, tuple) or one.words is None for one in predictions):
        return None
    lines = []
    for one in predictions:
        truth, found = set(one.truth or ()), set(one.found or ())  # type: ignore[arg-type]
        lines.append([len(truth & found), len(truth), len(found), one.words_right or 0, one.words or 0])
    return np.array(lines, dtype=np.float64).reshape(len(predictions), 5)


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def span_f1(sums_BS: Floats) -> Floats:
    """Twice the spans in common over all spans, true and answered."""
    return _share(2 * sums_BS[:, 0], sums_BS[:, 1] + sums_BS[:, 2])


def span_precision(sums_BS: Floats) -> Floats:
    """Right spans over those answered."""
    return _share(sums_BS[:, 0], sums_BS[:, 2])


def span_recall(sums_BS: Floats) -> Floats:
    """Right spans over true ones."""
    return _share(sums_BS[:, 0], sums_BS[:, 1])


def token_accuracy(sums_BS: Floats) -> Floats:
    """Words with the right tag over words; high where most are outside any span."""
    return _share(sums_BS[:, 3], sums_BS[:, 4])


SPAN_F1 = Measure(name="span_f1", title="span F1", tabulate=tabulate, value=span_f1)
SPAN_PRECISION = Measure(name="span_precision", title="span precision", tabulate=tabulate, value=span_precision)
SPAN_RECALL = Measure(name="span_recall", title="span recall", tabulate=tabulate, value=span_recall)
TOKEN_ACCURACY = Measure(name="token_accuracy", title="token accuracy", tabulate=tabulate, value=token_accuracy)
