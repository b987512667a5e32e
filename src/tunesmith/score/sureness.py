"""How sure a generated answer is: from the likelihood of its tokens, or from how many samples say the same.

Pure functions over log-probabilities and texts that were made elsewhere. What they give is a score from 0 to 1 that rises with
sureness, and no probability of being right yet: that it becomes by Platt's or an isotonic calibrator, fitted on answers known to
be right or wrong (`evaluate.calibration.calibrate` does, from each prediction's confidence).

Legend: R answers, K samples.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from tunesmith.core.errors import DataError
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import words

Same = Callable[[str], object]
"""What an answer boils down to; two answers say the same where these are equal."""


class Agreed(NamedTuple):
    """What most samples say, and how many."""

    answer: str
    """The first of the samples that say it."""
    confidence: float


def gist(text: str) -> object:
    """The words of a text in order, whatever their case, white space and punctuation; the text itself where it has no word."""
    return tuple(words(text)) or text.strip()


def sequence_likelihood(logprob: float, tokens: int, *, per_token: bool = True) -> float:
    """The probability of an answer's tokens, end token included: the geometric mean of one (`per_token`), or of all together.

    The mean keeps long answers from seeming unsure for their length alone (Murray and Chiang, 2018).

    Args:
        logprob: natural log-probability of the whole answer; -inf is sure not to be.
        tokens: how many it runs over, at least 1.

    Raises:
        DataError: what can be no log-probability: nan, above 0 by more than rounding, or of no token.
    """
    if math.isnan(logprob) or logprob > 1e-3 * max(1, tokens) or tokens < 1:
        raise DataError(f"A log-probability of {logprob:g} over {tokens} tokens was given: it must be at most 0, over at least one token.")
    return math.exp(min(0.0, logprob) / (tokens if per_token else 1))


def agreement(answer: str, samples: Sequence[str], same: Same = gist) -> float:
    """How many samples say what the answer says, as (k + 1/2) / (K + 1): never 0 or 1, and 1/2 without a sample.

    Args:
        samples: further answers to the same prompt, drawn at a temperature above 0; the answer itself is none of them.
    """
    said = same(answer)
    return _share(sum(same(sample) == said for sample in samples), len(samples))


def majority(samples: Sequence[str], same: Same = gist) -> Agreed:
    """What most samples say (self-consistency: Wang et al., 2023), of equals the earliest; DataError without a sample."""
    if not samples:
        raise DataError("A majority of no samples was asked for: draw at least one.")
    meant = [same(sample) for sample in samples]
    said, count = Counter(meant).most_common(1)[0]
    return Agreed(samples[meant.index(said)], _share(count, len(samples)))


def spread(samples: Sequence[str], same: Same = gist) -> float:
    """Entropy of what samples say over the most it could be, 0 (all the same) to 1 (all apart); 0 of one sample."""
    if len(samples) < 2:
        return 0.0
    shares = [count / len(samples) for count in Counter(map(same, samples)).values()]
    return max(0.0, min(1.0, -sum(share * math.log(share) for share in shares) / math.log(len(samples))))


def sure(predictions: Sequence[Prediction], confidence_R: Sequence[float]) -> list[Prediction]:
    """The predictions with these confidences; DataError where they are not as many."""
    if len(predictions) != len(confidence_R):
        raise DataError(f"{len(confidence_R)} confidences were given for {len(predictions)} answers: give each answer one.")
    return [replace(one, confidence=float(sureness)) for one, sureness in zip(predictions, confidence_R, strict=True)]


def _share(hits: int, of: int) -> float:
    return (hits + 0.5) / (of + 1)
