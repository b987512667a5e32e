"""One seed in the recipe, many independent streams: each use derives its own from the seed and a name."""

import hashlib


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names`; different names give unrelated streams, the same give the same."""
    text = "/".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def fraction(seed: int, key: str) -> float:
    """A number in [0, 1) that depends on the seed and the key alone: splits stay put when rows are appended."""
    return derive_seed(seed, key) / 2**63
