"""What is told of a load: rates, percentiles, errors. Standard library only."""

import math
import statistics
from collections.abc import Sequence
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of them does not exceed (nearest rank). ValueError where there are none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summed(load: dict[str, Any]) -> dict[str, Any]:
    """A load in figures: what client.py told, of one slice.

    An answer counts with its tokens where it was written to its last. 429 is no error: it says come again.
    """
    answers = load["answers"]
    whole = [one for one in answers if one["status"] == 200 and one["finish"] == "length" and "error" not in one]
    refused = [one for one in answers if one["status"] == 429]
    errors = [one for one in answers if one not in whole and one not in refused]
    tokens = sum(one["most"] for one in whole)
    return {
        "seconds": load["seconds"],
        "requests": len(whole),
        "tokens": tokens,
        "tokens_a_second": tokens / load["seconds"] if load["seconds"] else 0.0,
        "latencies": [one["seconds"] for one in whole],
        "firsts": [one["first_seconds"] for one in whole if one["streamed"]],
        "refused": len(refused),
        "errors": len(errors),
        "said": sorted({str(one.get("error", f"status {one['status']}, ended by {one['finish']}"))[:200] for one in errors})[:5],
    }


def together(slices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The slices of one side, as the result tells them."""
    seconds, tokens = sum(one["seconds"] for one in slices), sum(one["tokens"] for one in slices)
    latencies = [value for one in slices for value in one["latencies"]]
    firsts = [value for one in slices for value in one["firsts"]]
    told: dict[str, Any] = {
        "tokens_a_second": round(tokens / seconds, 1) if seconds else 0.0,
        "requests": len(latencies),
        "tokens": tokens,
        "seconds": round(seconds, 1),
        "refused": sum(one["refused"] for one in slices),
        "errors": sum(one["errors"] for one in slices),
        "errors_said": sorted({said for one in slices for said in one["said"]})[:5],
    }
    for name, values in (("latency", latencies), ("first_token", firsts)):
        for share in (0.5, 0.95):
            told[f"{name}_p{share * 100:.0f}_seconds"] = round(percentile(values, share), 3) if values else None
    return told


def ratio(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Our tokens a second over theirs, pair by pair: the median, and the least and the most. ValueError where a peer wrote nothing."""
    each = [mine["tokens_a_second"] / peer["tokens_a_second"] for mine, peer in zip(ours, theirs, strict=True) if peer["tokens_a_second"]]
    if len(each) < len(ours):
        raise ValueError("the peer answered nothing in a slice")
    return {"ratio": round(statistics.median(each), 2), "spread": [round(min(each), 2), round(max(each), 2)], "repeats": len(each)}
