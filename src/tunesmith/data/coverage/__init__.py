"""Representativeness and coverage: how well train rows stand for a sample of production inputs, or how diverse they are within.

    coverage(Sample(texts, features), Sample(others, other_features), config, seed).to_json()

Without features, texts are compared by their words. At most `config.rows` texts a side are looked at (a seeded sample of more), of
these 10,000 a side by the classifier and 5,000 inputs against 20,000 train rows by distance. The same input and seed give the same
result. About 10 s for 20,000 short texts on one core.

Keys with production inputs, all JSON values; `share` stands for {rows, hits, rate, interval}, intervals are 95%:

    kind         coverage
    rows         {train, production, train_looked_at, production_looked_at}
    level, correction
    domain       {value, interval, rows, folds, end: share, others: share}: AUC of a classifier that tells the sides apart, 0.5 where
                 they are alike; end and others: the share of production among the hundredth that looks most like it, and the rest
    clusters     {clusters, uncovered: share of clusters, uncovered_rows: share of inputs, beyond_chance, beyond_chance_rows,
                 list: [{cluster, rows, train, beyond_chance}]}: uncovered are clusters without a train row, beyond chance those
                 with none or under a fifth of their share, tested; null under 40 inputs
    nearest      {quantiles, production, train, bound, far: share, train_far: share}: distances to the nearest train row
    lengths      {quantiles, train, production, wasserstein, ks: {value, p}}, in characters
    vocabulary   {unseen: share of words, expected: share, words: {train, production}, more_in_production, more_in_train:
                 [{word, z, count, other}]}; expected is of train rows set aside
    findings     as in `tunesmith.data.audit`; what: coverage.domain, .end, .clusters, .distance, .lengths, .vocabulary
    examples     [{text, why, cluster, distance}], 500 characters of each: inputs of uncovered clusters, the most central of each in
                 turn (why: cluster), then those that look least like train rows, whether or not beyond chance (why: unlike)

And without: kind (diversity), rows, findings (none), diversity {distinct: {words, 1, 2, 3}, nearest: {rows, mean, quantiles, values,
nearly_equal, repeated_texts}, regions: {effective_directions, clusters, effective_clusters, largest_share, nearly_empty, list}} and
examples of nearly empty regions. Examples and words are text of rows; nothing else is.
"""

from tunesmith.data.coverage.measure import Coverage, Sample, coverage

__all__ = ["Coverage", "Sample", "coverage"]
