"""Cells as they are written for spreadsheets: none may be taken for a formula."""

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes a formula by (OWASP, CSV injection), full-width signs included."""


def escape_formula(cell: str) -> str:
    """A text that no spreadsheet runs: with an apostrophe before it where it begins as a formula does. Numbers stay numbers."""
    if not cell.startswith(_STARTS):
        return cell
    return cell if _is_number(cell) else "'" + cell


def _is_number(cell: str) -> bool:
    """Whether a text is a plain number, such as -1.5e3."""
    if not cell.isascii() or not cell[1:2].isdigit():
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return cell[0] in "+-" and "_" not in cell and not cell[-1].isspace()
