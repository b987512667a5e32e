"""Plain tables: columns as wide as what stands in them, two spaces between."""

from collections.abc import Sequence

from tunesmith.cli.printable import one_line


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A header, a rule and the rows; columns whose cells are all numbers stand to the right."""
    cells = [list(head), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    right = [len(rows) > 0 and all(_numeric(row[column]) for row in cells[1:]) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        placed = zip(row, widths, right, strict=True)
        return "  ".join(cell.rjust(width) if to_the_right else cell.ljust(width) for cell, width, to_the_right in placed).rstrip()

    return [line(cells[0]), "  ".join("-" * width for width in widths), *(line(row) for row in cells[1:])]


def _numeric(cell: str) -> bool:
    return cell in ("", "-") or cell.lstrip("+-").replace(".", "", 1).replace(",", "").isdigit()
