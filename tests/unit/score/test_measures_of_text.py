"""Measures of text against sacrebleu and rouge-score."""

import math
import random

import numpy as np
import pytest

from tunesmith.score.measures import measure
from tunesmith.score.prediction import Prediction
from tunesmith.score.text import token_f1, words

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat,", "Mat.", "where", "is", "my", "2nd", "card-order", "it's", "(lost)", "café"]


def predictions(pairs: list[tuple[str, str]]) -> list[Prediction]:
    return [Prediction(row_id=str(index), reference=reference, answer=answer) for index, (reference, answer) in enumerate(pairs)]


def corpus(seed: int, rows: int, longest: int = 12) -> list[tuple[str, str]]:
    """References and answers that share some words; some empty."""
    source = random.Random(seed)
    pairs = []
    for _ in range(rows):
        reference = [source.choice(WORDS) for _ in range(source.randint(0, longest))]
        answer = [source.choice(WORDS) if source.random() < 0.3 else word for word in reference if source.random() < 0.9]
        pairs.append((" ".join(reference), " ".join(answer)))
    return pairs


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("longest", [2, 5, 12])
def test_bleu_and_chrf_are_sacrebleus(seed: int, longest: int) -> None:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    pairs = corpus(seed, 3 + 9 * seed, longest)
    references, answers = [one for one, _ in pairs], [one for _, one in pairs]
    assert measure("bleu").of(predictions(pairs)) == pytest.approx(BLEU().corpus_score(answers, [references]).score / 100, abs=1e-12)
    assert measure("chrf").of(predictions(pairs)) == pytest.approx(CHRF().corpus_score(answers, [references]).score / 100, abs=1e-12)


def test_a_resample_of_bleu_is_sacrebleus_of_the_drawn_rows() -> None:
    from sacrebleu.metrics.bleu import BLEU

    pairs = corpus(3, 30)
    table = measure("bleu").tabulate(predictions(pairs))
    assert table is not None
    for seed in range(5):
        drawn = np.random.default_rng(seed).integers(0, 30, 30)
        expected = BLEU().corpus_score([pairs[index][1] for index in drawn], [[pairs[index][0] for index in drawn]]).score / 100
        assert measure("bleu").of_table(table[drawn]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_is_rouge_scores_on_english(name: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    pairs = [(reference.replace("café", "bar"), answer.replace("café", "bar")) for reference, answer in corpus(1, 40)]
    scorer = RougeScorer([name])
    expected = [1.0 if not one and not other else scorer.score(one, other)[name].fmeasure for one, other in pairs]
    assert measure(name).of(predictions(pairs)) == pytest.approx(np.mean(expected), abs=1e-12)


def test_other_scripts_have_words() -> None:
    assert words("Привет, мир! café CAFE\u0301") == ["привет", "мир", "café", "café"]
    assert words("東京へ行く") == ["東", "京", "へ", "行", "く"]
    assert measure("rougeL").of(predictions([("Привет мир", "Привет мир")])) == 1.0


def test_exact_match_forgives_white_space_only() -> None:
    scored = predictions([("two  words", " two words\n"), ("Yes", "yes"), ("caf\u00e9", "cafe\u0301"), ("", "")])
    assert measure("exact_match").of(scored) == 0.75


def test_token_f1_by_hand() -> None:
    assert token_f1("the cat sat", "the cat sat down now") == pytest.approx(2 * 3 / 8)
    assert token_f1("", "") == 1.0
    assert token_f1("", "word") == 0.0
    assert token_f1("no no", "no") == pytest.approx(2 / 3)


def test_perplexity_weighs_tokens_and_is_absent_without_log_probabilities() -> None:
    rows = [
        Prediction(row_id="1", reference="x", answer="", reference_logprob=-2.0, reference_tokens=1),
        Prediction(row_id="2", reference="x", answer="", reference_logprob=-6.0, reference_tokens=7),
    ]
    assert measure("perplexity").of(rows) == pytest.approx(math.e)
    assert measure("perplexity").of([*rows, Prediction(row_id="3", reference="x", answer="")]) is None
