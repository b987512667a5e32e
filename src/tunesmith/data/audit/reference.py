"""Sampling bias: how the rows of all sides are shared among groups against a distribution stated in the recipe.

The distance is total variation: half the sum of differences of shares, which is how many rows would have to be of another
group. Its 95% interval is bootstrapped (2,000 seeded draws), the outer ends of the percentile and the pivotal one, as the
estimate is never below 0 and so lies too high; it reaches down to 0 where rows drawn from the stated shares would stray as far one
time in twenty. Single groups are tested by the exact binomial test.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith.core.seeds import derive_seed
from tunesmith.data.audit.finding import Claim, Figure
from tunesmith.data.audit.rates import quoted
from tunesmith.data.audit.support import binomial_p, share_of
from tunesmith.data.audit.tally import Tally

_DRAWS = 2000


def representation(tally: Tally, seed: int) -> Figure:
    """Every distribution of `data.audit.reference`. Rows of groups it doesn't name are counted and not compared."""
    told: dict[str, Any] = {}
    claims: list[Claim] = []
    tested = 0
    for name, shares in tally.config.reference.items():
        counts = _counts(tally, name)
        held = {group: counts.get(group, 0) for group in shares}
        rows = sum(held.values())
        told[name] = {"rows": rows, "unreferenced": sum(counts.values()) - rows, "groups": {}}
        if rows < tally.config.group_rows:
            continue
        told[name] |= {"total_variation": total_variation(list(held.values()), list(shares.values()), seed)}
        for group, share in shares.items():
            told[name]["groups"][group] = share_of(held[group], rows) | {"reference": share}
            tested += 1
            if abs(held[group] / rows - share) >= tally.config.difference or _times(held[group] / rows, share) >= tally.config.ratio:
                claims.append(_claim(name, group, (held[group], rows), share))
    return Figure(told, claims, tested)


def _counts(tally: Tally, name: str) -> Mapping[str, int]:
    """Rows by group of a column, of a list of terms, or by label, of all sides."""
    kinds = ("label",) if name == "label" else ("column", "terms")
    for kind in kinds:
        places = tally.of(kind, "" if name == "label" else name)
        if places and (kind != "column" or name in tally.config.groups):
            return {tally.keys[place].group: tally.kept[place] for place in places if tally.kept[place]}
    return {}


def _times(share: float, reference: float) -> float:
    low, high = sorted((share, reference))
    return high / low if low > 0 else float("inf") if high > 0 else 1.0


def total_variation(counts: list[int], reference: list[float], seed: int) -> dict[str, Any]:
    """The distance of shares from stated ones with its interval; one row or more."""
    import numpy as np

    rows = sum(counts)
    shares, wanted = np.array(counts) / rows, np.array(reference)
    value = float(np.abs(shares - wanted).sum() / 2)
    random = np.random.default_rng(derive_seed(seed, "audit", "reference"))
    drawn = np.abs(random.multinomial(rows, shares / shares.sum(), size=_DRAWS) / rows - wanted).sum(axis=1) / 2
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    alike = np.abs(random.multinomial(rows, wanted / wanted.sum(), size=_DRAWS) / rows - wanted).sum(axis=1) / 2
    if value <= float(np.quantile(alike, 0.95)):
        low = 0.0
    return {"value": value, "interval": [max(0.0, min(value, low, 2 * value - high)), min(1.0, max(value, high, 2 * value - low))]}


def _claim(name: str, group: str, held: tuple[int, int], share: float) -> Claim:
    hits, rows = held
    told = share_of(hits, rows)
    low, high = told["interval"]  # type: ignore[misc]
    return Claim(
        what="sampling.reference",
        about=(name, group),
        sentence=(
            f"{quoted(group)} in {quoted(name)} has {hits / rows:.1%} of the rows (95% interval {low:.1%} to {high:.1%}), and {share:.1%} was stated: "
            f"it is {'over' if hits / rows > share else 'under'}-represented."
        ),
        rows=hits,
        mitigation=("collect", "balance.upsample", "balance.downsample"),
        figure=hits / rows - share,
        interval=(low - share, high - share),
        p=binomial_p(hits, rows, share),
    )
