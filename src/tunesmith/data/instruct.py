"""One system message before every row that has none."""

from collections.abc import Iterable, Iterator

from tunesmith.core.rows import Changed, Kept, Message, Outcome, Row


def instruct(rows: Iterable[Row], instruction: str) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order. Raw text and rows with a system message of their own stay as they are."""
    for row in rows:
        if not row.prompt or any(turn.role == "system" for turn in row.prompt):
            yield Kept(row)
        else:
            prompt = (Message("system", instruction), *row.prompt)
            yield Changed(row.with_text(prompt, row.answer, row.rejected), stage="instruct", reason="instruction added")
