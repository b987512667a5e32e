"""Measures of answers that are text, against one reference each.

BLEU and chrF are sacrebleu's (0 to 1 here: its score / 100), ROUGE is rouge-score's F-measure without stemming.
Words for token F1 and ROUGE are runs of letters and digits of any script, case folded, and each ideograph or kana by
itself: for English the same as rouge-score's own, which sees no letter outside a to z.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.core.errors import MachineError
from tunesmith.score.measures import Floats, Measure
from tunesmith.score.prediction import Prediction

BLEU_ORDER = 4
CHRF_BETA = 2.0
_LONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_LONE}]|[^\W_{_LONE}]+")


def words(text: str) -> list[str]:
    """The words of a text, case folded."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def _plain(text: str) -> str:
    """A text up to its white space and the composition of its letters; case and punctuation count."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def exact(predictions: Sequence[Prediction]) -> NDArray[np.bool_]:
    """Which answers are the reference but for white space, [R]."""
    return np.array([_plain(one.answer) == _plain(one.reference) for one in predictions], dtype=np.bool_)


def _with_ones(score_R: Sequence[float] | NDArray[np.bool_]) -> Floats:
    """A score per row beside a 1 to count it, [R, 2]."""
    return np.column_stack([np.asarray(score_R, dtype=np.float64), np.ones(len(score_R))])


def tabulate_exact(predictions: Sequence[Prediction]) -> Floats:
    """Match and 1, [R, 2]."""
    return _with_ones(exact(predictions))


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of the shares of words in common (Rajpurkar et al., 2016); 1 where both hold none."""
    ours, theirs = Counter(words(answer)), Counter(words(reference))
    if not ours or not theirs:
        return float(ours == theirs)
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


def tabulate_token_f1(predictions: Sequence[Prediction]) -> Floats:
    """Token F1 and 1, [R, 2]."""
    return _with_ones([token_f1(one.answer, one.reference) for one in predictions])


class _Words:
    """rouge-score's protocol of a tokeniser."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def _tabulate_rouge(kind: str, predictions: Sequence[Prediction]) -> Floats:
    """ROUGE F-measure and 1, [R, 2]; 1 where neither text has a word, as token F1 has it."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([kind], tokenizer=_Words())
    scores = []
    for one in predictions:
        empty = not words(one.reference) and not words(one.answer)
        scores.append(1.0 if empty else float(scorer.score(one.reference, one.answer)[kind].fmeasure))
    return _with_ones(scores)


def mean(sums_BS: Floats) -> Floats:
    """The first statistic over the second."""
    return np.divide(sums_BS[:, 0], sums_BS[:, 1], out=np.zeros(len(sums_BS)), where=sums_BS[:, 1] > 0)


def _counts(metric: Any, predictions: Sequence[Prediction]) -> Floats:
    """sacrebleu's statistics per row; it sums these itself for a corpus, a test holds the sums to its own score."""
    extract = getattr(metric, "_extract_corpus_statistics", None)
    if extract is None:
        raise MachineError("This sacrebleu no longer gives its counts per row: install sacrebleu 2.6.0, as pinned.")
    counts = extract([one.answer for one in predictions], [[one.reference for one in predictions]])
    return np.asarray(counts, dtype=np.float64).reshape(len(predictions), -1)


def tabulate_bleu(predictions: Sequence[Prediction]) -> Floats:
    """Answer length, reference length, matches and totals of 1- to 4-grams (13a words), [R, 10]."""
    from sacrebleu.metrics.bleu import BLEU as Bleu

    return _counts(Bleu(force=True), predictions)


def bleu(sums_BS: Floats) -> Floats:
    """Corpus BLEU (Papineni et al., 2002), zero counts smoothed as mteval does; 0 where no answer has four words."""
    ours, theirs = sums_BS[:, 0], sums_BS[:, 1]
    matches, totals = sums_BS[:, 2 : 2 + BLEU_ORDER], sums_BS[:, 2 + BLEU_ORDER :]
    none = matches == 0
    smoothed = np.where(none, 0.5 ** np.cumsum(none, axis=1), matches)
    defined = (totals > 0).all(axis=1) & (matches > 0).any(axis=1)
    log_precision = np.log(smoothed / np.where(totals > 0, totals, 1.0)).mean(axis=1)
    brevity = np.minimum(0.0, 1.0 - theirs / np.where(ours > 0, ours, 1.0))
    return np.where(defined, np.exp(brevity + log_precision), 0.0)


def tabulate_chrf(predictions: Sequence[Prediction]) -> Floats:
    """Answer's, reference's and common character n-grams for n = 1 to 6, [R, 18]."""
    from sacrebleu.metrics.chrf import CHRF as Chrf

    return _counts(Chrf(), predictions)


def chrf(sums_BS: Floats) -> Floats:
    """Character n-gram F-score, beta 2 (Popovic, 2015), over the orders that both sides have."""
    ours, theirs, common = sums_BS[:, 0::3], sums_BS[:, 1::3], sums_BS[:, 2::3]
    both = (ours > 0) & (theirs > 0)
    orders = np.maximum(both.sum(axis=1), 1)
    precision = np.divide(common, ours, out=np.zeros_like(common), where=both).sum(axis=1) / orders
    recall = np.divide(common, theirs, out=np.zeros_like(common), where=both).sum(axis=1) / orders
    weighted = CHRF_BETA**2 * precision + recall
    score: Floats = np.divide((1 + CHRF_BETA**2) * precision * recall, weighted, out=np.zeros_like(weighted), where=weighted > 0)
    return score


def tabulate_likelihood(predictions: Sequence[Prediction]) -> Floats | None:
    """Log-probability of the reference (natural) and its tokens, [R, 2]; None where any row lacks them."""
    if any(one.reference_logprob is None or not one.reference_tokens for one in predictions):
        return None
    return np.array([[one.reference_logprob, one.reference_tokens] for one in predictions], dtype=np.float64)


def perplexity(sums_BS: Floats) -> Floats:
    """exp(- log-probability / tokens): per token over all rows, long answers counting for more; capped at e^700."""
    return np.exp(np.minimum(-sums_BS[:, 0] / np.maximum(sums_BS[:, 1], 1.0), 700.0))


EXACT_MATCH = Measure(name="exact_match", title="exact match", tabulate=tabulate_exact, value=mean, right=exact)
TOKEN_F1 = Measure(name="token_f1", title="token F1", tabulate=tabulate_token_f1, value=mean, unit="")
ROUGE1 = Measure(name="rouge1", title="ROUGE-1", tabulate=partial(_tabulate_rouge, "rouge1"), value=mean, unit="")
ROUGE2 = Measure(name="rouge2", title="ROUGE-2", tabulate=partial(_tabulate_rouge, "rouge2"), value=mean, unit="")
ROUGE_L = Measure(name="rougeL", title="ROUGE-L", tabulate=partial(_tabulate_rouge, "rougeL"), value=mean, unit="")
BLEU = Measure(name="bleu", title="BLEU", tabulate=tabulate_bleu, value=bleu, unit="")
CHRF = Measure(name="chrf", title="chrF", tabulate=tabulate_chrf, value=chrf, unit="")
PERPLEXITY = Measure(
    name="perplexity",
    title="perplexity",
    tabulate=tabulate_likelihood,
    value=perplexity,
    higher_is_better=False,
    low=1.0,
    high=float("inf"),
    scale=1.0,
    unit="",
)
