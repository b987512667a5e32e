"""Lines that can't be read: how many there may be, which come first, and what to do about them."""

from collections import Counter

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BadLine, Source
from tunesmith.data.settings.read import ReadConfig


def none_read(source: Source, bad: list[BadLine]) -> DataError:
    """That a file holds no row, and why where it holds lines."""
    if not bad:
        return DataError(f"{source.path} holds no rows: it must hold at least one.")
    return DataError(f"{source.path}: none of its {len(bad):,} lines can be read ({_first(bad)}); {_advice(bad)}")


def check_share(source: Source, bad: list[BadLine], count: int, total: int, config: ReadConfig) -> None:
    """DataError where more lines are bad than the recipe allows; `bad` are the first of them."""
    if count > config.bad_lines * total:
        raise DataError(
            f"{source.path}: {count:,} of {total:,} lines ({count / total:.1%}) can't be read, and data.read.bad_lines allows "
            f"{config.bad_lines:.1%} ({_first(bad)}); {_advice(bad)}"
        )


def _first(bad: list[BadLine]) -> str:
    """Where each reason is met first, the commonest reasons first."""
    counts = Counter(line.reason for line in bad)
    first = {line.reason: line.number for line in reversed(bad)}
    shown = [f"line {first[reason]:,}: {reason}" + (f", {count:,} in all" if count > 1 else "") for reason, count in counts.most_common(3)]
    return "; ".join(shown) + (" ..." if len(counts) > 3 else "")


def _advice(bad: list[BadLine]) -> str:
    reason, _ = Counter(line.reason for line in bad).most_common(1)[0]
    if reason == "not a JSON object":
        return 'write each row as an object, such as {"text": "...", "label": "..."}.'
    if reason == "not UTF-8":
        return "save the file as UTF-8, or name its encoding in data.read.encoding, such as cp1251 or shift_jis."
    if reason == "bytes that its encoding does not have":
        return "name the right encoding in data.read.encoding."
    if reason == "a key that comes twice":
        return "leave one of the two in each row."
    if reason == "nested too deeply":
        return "take the value out of its lists and objects."
    if reason.startswith("a row in the form"):
        return "put rows of each form into a file of its own."
    if reason.startswith("longer than"):
        return "divide those rows, or raise data.read.max_line_mib."
    return "mend those lines, or raise data.read.bad_lines."
