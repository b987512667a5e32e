"""What tunesmith brings along: sample data and a small base model, so that a first round needs no network."""

from pathlib import Path

__all__ = ["base_path", "general_path", "harmless_path", "lexicon_path", "probes_path", "sample_path"]

_HERE = Path(__file__).resolve().parent


def sample_path() -> Path:
    """The sample data, a JSONL file; how it was made stands in README.md beside it."""
    return _HERE / "sample" / "tickets.jsonl"


def general_path() -> Path:
    """General text, a JSONL file of short documents: what a base knows beside any task; README.md beside it tells more."""
    return _HERE / "general" / "documents.jsonl"


def probes_path() -> Path:
    """Questions of common knowledge with four answers each, a JSONL file."""
    return _HERE / "general" / "probes.jsonl"


def harmless_path() -> Path:
    """Harmless questions that sound risky, a JSONL file; README.md beside it tells more."""
    return _HERE / "safety" / "harmless.jsonl"


def lexicon_path() -> Path:
    """Hashed English terms that nobody wants to read, a line each."""
    return _HERE / "safety" / "lexicon.txt"


def base_path() -> Path:
    """The folder of the embedded base model: configuration, weights, tokenizer and card."""
    return _HERE / "base"
