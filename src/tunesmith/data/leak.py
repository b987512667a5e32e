"""Rows supplied for testing must not stand among those that teach or choose: what does is dropped there, never in the test."""

from collections.abc import Iterable, Iterator, Mapping

from tunesmith.core.rows import Dropped, Kept, Outcome, Row
from tunesmith.data.fold import text_key


def group_of(row: Row, by: str | None) -> str | None:
    """The row's value in the column that must not be divided, as text; None where it has none."""
    value = None if by is None else row.fields.get(by)
    return None if value is None or str(value).strip() == "" else str(value)


def leak(rows: Iterable[Row], held: Mapping[str, Iterable[Row]], by: str | None) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order: dropped where its text or its group stands in one of the sets in `held`."""
    texts: dict[str, str] = {}
    groups: dict[str, str] = {}
    for name, others in held.items():
        for other in others:
            texts.setdefault(text_key(other), name)
            group = group_of(other, by)
            if group is not None:
                groups.setdefault(group, name)
    for row in rows:
        group = group_of(row, by)
        same_text = texts.get(text_key(row))
        same_group = None if group is None else groups.get(group)
        if same_text is not None:
            yield Dropped(row, stage="leak", reason=f"its text also stands in {same_text}")
        elif same_group is not None:
            yield Dropped(row, stage="leak", reason=f"its {by} also stands in {same_group}")
        else:
            yield Kept(row)
