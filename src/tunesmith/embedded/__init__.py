"""What tunesmith brings along: sample data and a small base model, so that a first round needs no network."""

from pathlib import Path

__all__ = ["base_path", "sample_path"]

_HERE = Path(__file__).resolve().parent


def sample_path() -> Path:
    """The sample data, a JSONL file; how it was made stands in README.md beside it."""
    return _HERE / "sample" / "tickets.jsonl"


def base_path() -> Path:
    """The folder of the embedded base model: configuration, weights, tokenizer and card."""
    return _HERE / "base"
