"""Coverage of production inputs by train rows, or diversity within where there are none: the parts in order, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.finding import Claim, Figure, findings_of
from tunesmith.data.audit.support import difference, exact_p
from tunesmith.data.coverage.classifier import MOST_ROWS, domain_auc
from tunesmith.data.coverage.clusters import FEWEST, gaps
from tunesmith.data.coverage.diversity import distinct, regions, similarity
from tunesmith.data.coverage.drift import length_drift, vocabulary_drift
from tunesmith.data.coverage.features import Vectors, vectors_of
from tunesmith.data.coverage.nearest import nearest_train, some
from tunesmith.data.fold import fold
from tunesmith.data.settings.coverage import CoverageConfig

_FEWEST = 20
_EXAMPLE_CHARS, _MOST_EXAMPLES = 500, 10_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts as the model is shown them, and features of them where there are any."""

    texts: Sequence[str]
    features_ND: Any | None = None
    """[texts, dims], float32."""

    def some(self, most: int, seed: int, name: str) -> "Sample":
        """All of it, or so many texts by lot."""
        if len(self.texts) <= most:
            return self
        which = some(len(self.texts), most, seed, name)
        return Sample([self.texts[at] for at in which], None if self.features_ND is None else self.features_ND[which])


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was measured; the keys of `told` are those of `tunesmith.data.coverage`."""

    told: dict[str, Any]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What is large enough to matter and beyond chance."""
        found: list[dict[str, Any]] = self.told["findings"]
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return self.told


def coverage(train: Sample, production: Sample | None, config: CoverageConfig, seed: int) -> Coverage:
    """Compare train rows with production inputs, or tell how diverse they are where there are none.

    Args:
        train: the train rows.
        production: what the model will be asked.
        config: the section.
        seed: the recipe's.

    Raises:
        DataError: a side has fewer than 20 texts, or no features are handed in and no word stands in two texts.
    """
    for name, sample in (("train", train), ("production", production)):
        if sample is not None and len(sample.texts) < _FEWEST:
            raise DataError(
                f"Coverage needs {_FEWEST} texts a side, and {name} has {len(sample.texts)}: add some, or set data.coverage.enabled to false."
            )
    counted = {"train": len(train.texts), "production": None if production is None else len(production.texts)}
    train = train.some(config.rows, seed, "train rows")
    if production is None:
        return _within(train, counted, config, seed)
    return _against(train, production.some(config.rows, seed, "production rows"), counted, config=config, seed=seed)


def _texts(texts: Sequence[str]) -> Any:
    """A number for each text, the same for equal ones."""
    import numpy as np

    keys = (blake2b(fold(text).encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(key, "little", signed=True) for key in keys], np.int64)


def _within(train: Sample, counted: dict[str, int | None], config: CoverageConfig, seed: int) -> Coverage:
    vectors, text_N = vectors_of(train.texts, train.features_ND, seed), _texts(train.texts)
    filled, central = regions(vectors.unit, config.clusters, seed)
    examples = [_example(train, each) for each in central[: config.examples]]
    diversity = {"distinct": distinct(train.texts, seed), "nearest": similarity(vectors.unit, text_N, seed), "regions": filled}
    told = {"kind": "diversity", "rows": _rows(counted, train, None), "findings": [], "diversity": diversity, "examples": examples}
    return Coverage(told)


def _against(train: Sample, production: Sample, counted: dict[str, int | None], *, config: CoverageConfig, seed: int) -> Coverage:
    import numpy as np

    vectors = _together(train, production, seed)
    ours, theirs = np.arange(len(train.texts)), np.arange(len(train.texts), len(vectors.unit))
    text_N = _texts([*train.texts, *production.texts])
    told: dict[str, Any] = {"kind": "coverage", "rows": _rows(counted, train, production), "level": config.level, "correction": "holm"}
    chosen = np.concatenate([side[some(len(side), MOST_ROWS, seed, name)] for name, side in (("ours", ours), ("theirs", theirs))])
    domain = domain_auc(vectors.wide[chosen], (chosen >= len(ours)).astype(np.int64), text_N[chosen], seed)
    told["domain"] = domain.told if domain else None
    found = None
    if len(theirs) >= FEWEST:
        found = gaps(vectors.unit[ours], vectors.unit[theirs], count=config.clusters, level=config.level / 2, seed=seed)
    told["clusters"] = found.told if found else None
    told["nearest"] = nearest_train(vectors.unit[ours], text_N[ours], vectors.unit[theirs], seed)
    told["lengths"] = length_drift(train.texts, production.texts)
    told["vocabulary"] = vocabulary_drift(train.texts, production.texts, seed)
    told["findings"] = findings_of([_figures(told, config)], config.level / 2)
    unlike = [int(chosen[at]) - len(ours) for at in domain.likeliest] if domain else []
    told["examples"] = _examples(production, found.uncovered if found else [], unlike, text_N[theirs])[: config.examples]
    return Coverage(told)


def _together(train: Sample, production: Sample, seed: int) -> Vectors:
    """Both sides as vectors, train first."""
    import numpy as np

    features = None
    if train.features_ND is not None and production.features_ND is not None:
        features = np.concatenate([np.asarray(train.features_ND), np.asarray(production.features_ND)])
    return vectors_of([*train.texts, *production.texts], features, derive_seed(seed, "coverage"))


def _rows(counted: dict[str, int | None], train: Sample, production: Sample | None) -> dict[str, Any]:
    return counted | {"train_looked_at": len(train.texts), "production_looked_at": None if production is None else len(production.texts)}


def _example(sample: Sample, entry: tuple[int, int, float]) -> dict[str, Any]:
    at, cluster, distance = entry
    return {"text": sample.texts[at][:_EXAMPLE_CHARS], "why": "cluster", "cluster": cluster, "distance": distance}


def _examples(sample: Sample, uncovered: list[tuple[int, int, float]], unlike: list[int], text_M: Any) -> list[dict[str, Any]]:
    """Inputs of uncovered clusters, then those that look least like train rows; none twice."""
    chosen: dict[int, dict[str, Any]] = {}
    for entry in uncovered[:_MOST_EXAMPLES]:
        chosen.setdefault(int(text_M[entry[0]]), _example(sample, entry))
    for at in unlike:
        text = sample.texts[at][:_EXAMPLE_CHARS]
        chosen.setdefault(int(text_M[at]), {"text": text, "why": "unlike", "cluster": None, "distance": None})
    return list(chosen.values())


def _figures(told: dict[str, Any], config: CoverageConfig) -> Figure:
    """What the parts claim. Half of the level is for the clusters, tested among themselves, half for the four differences tested here."""
    made = (_apart(told, config), _end(told, config), _uncovered(told), _far(told, config), _length(told, config), _unseen(told, config))
    return Figure({}, [claim for claim in made if claim is not None], 4)


def _apart(told: dict[str, Any], config: CoverageConfig) -> Claim | None:
    domain = told["domain"]
    if domain is None or domain["interval"][0] <= config.auc:
        return None
    value, (low, high) = domain["value"], domain["interval"]
    return Claim(
        what="coverage.domain",
        about=("domain",),
        sentence=f"Train rows and production inputs can be told apart: AUC {value:.2f} (95% interval {low:.2f} to {high:.2f}; alike: 0.50).",
        rows=domain["rows"],
        mitigation=("collect",),
        figure=value,
        interval=(low, high),
    )


def _end(told: dict[str, Any], config: CoverageConfig) -> Claim | None:
    domain = told["domain"]
    if domain is None:
        return None
    end, others = domain["end"], domain["others"]
    gap, low, high = difference(end["hits"], end["rows"], others["hits"], others["rows"])
    if gap < config.share:
        return None
    return Claim(
        what="coverage.end",
        about=("end",),
        sentence=(
            f"Of the hundredth of rows that looks most like production, {end['rate']:.1%} are production inputs, against {others['rate']:.1%} of the others: "
            f"some are of a kind that train rows hardly hold."
        ),
        rows=end["hits"],
        mitigation=("collect",),
        figure=gap,
        interval=(low, high),
        p=exact_p(end["hits"], end["rows"], others["hits"], others["rows"]),
    )


def _uncovered(told: dict[str, Any]) -> Claim | None:
    clusters = told["clusters"]
    if clusters is None or not clusters["beyond_chance"]:
        return None
    rows = clusters["beyond_chance_rows"]
    return Claim(
        what="coverage.clusters",
        about=("clusters",),
        sentence=(
            f"{clusters['beyond_chance']} of {clusters['clusters']} clusters of production inputs, with {rows['rate']:.1%} of the inputs, have no train row "
            f"or under a fifth of their share of them: what they ask is hardly trained."
        ),
        rows=rows["hits"],
        mitigation=("collect",),
        figure=rows["rate"],
        interval=(rows["interval"][0], rows["interval"][1]),
    )


def _far(told: dict[str, Any], config: CoverageConfig) -> Claim | None:
    far, own = told["nearest"]["far"], told["nearest"]["train_far"]
    gap, low, high = difference(far["hits"], far["rows"], own["hits"], own["rows"])
    if gap < config.share:
        return None
    return Claim(
        what="coverage.distance",
        about=("distance",),
        sentence=f"{far['rate']:.1%} of production inputs are farther from any train row than 19 in 20 train rows are from the others.",
        rows=far["hits"],
        mitigation=("collect",),
        figure=gap,
        interval=(low, high),
        p=exact_p(far["hits"], far["rows"], own["hits"], own["rows"]),
    )


def _length(told: dict[str, Any], config: CoverageConfig) -> Claim | None:
    lengths = told["lengths"]
    if lengths["ks"]["value"] < config.distance:
        return None
    return Claim(
        what="coverage.lengths",
        about=("lengths",),
        sentence=(
            f"Lengths differ: half of the train rows have up to {lengths['train'][2]:,.0f} characters, half of the production inputs up to "
            f"{lengths['production'][2]:,.0f} (Wasserstein distance {lengths['wasserstein']:,.0f} characters)."
        ),
        rows=told["rows"]["production_looked_at"],
        mitigation=("collect",),
        figure=lengths["ks"]["value"],
        p=lengths["ks"]["p"],
    )


def _unseen(told: dict[str, Any], config: CoverageConfig) -> Claim | None:
    """The difference of two shares; their intervals are turned back into standard errors for its p-value."""
    from math import erfc, hypot, sqrt

    unseen, expected = told["vocabulary"]["unseen"], told["vocabulary"]["expected"]
    if unseen["rate"] is None or expected["rate"] is None or unseen["rate"] - expected["rate"] < config.share:
        return None
    gap = unseen["rate"] - expected["rate"]
    down = hypot(unseen["rate"] - unseen["interval"][0], expected["interval"][1] - expected["rate"])
    up = hypot(unseen["interval"][1] - unseen["rate"], expected["rate"] - expected["interval"][0])
    return Claim(
        what="coverage.vocabulary",
        about=("vocabulary",),
        sentence=(
            f"{unseen['rate']:.1%} of the words of production inputs stand in no train row; of train rows that were set aside it is {expected['rate']:.1%}."
        ),
        rows=unseen["hits"],
        mitigation=("collect",),
        figure=gap,
        interval=(gap - down, gap + up),
        p=erfc(1.959963984540054 * gap / down / sqrt(2)) if down > 0 else 0.0,
    )
