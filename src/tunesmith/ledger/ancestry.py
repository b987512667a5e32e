"""Walks the lineage graph: what content was made from, over any number of steps."""

from sqlalchemy import Connection, literal, select

from tunesmith.ledger.records import Ancestor
from tunesmith.ledger.tables import lineage


def ancestors(connection: Connection, content_hash: str) -> list[Ancestor]:
    """Every ancestor once, by its shortest way (ties: by name), nearest first. A loop, should one be recorded, ends the walk there."""
    reached = select(literal(content_hash, type_=lineage.c.child.type).label("hash")).cte("reached", recursive=True)
    # UNION drops what was reached before, so that the walk ends even in a loop.
    reached = reached.union(select(lineage.c.parent).join(reached, lineage.c.child == reached.c.hash))
    edges = connection.execute(
        select(lineage).join(reached, lineage.c.child == reached.c.hash).order_by(lineage.c.child, lineage.c.parent, lineage.c.relation)
    )
    parents: dict[str, list[tuple[str, str]]] = {}
    for child, parent, relation in edges:
        parents.setdefault(child, []).append((parent, relation))

    found: dict[str, Ancestor] = {}
    generation, distance = [content_hash], 0
    while generation:
        distance += 1
        following: list[str] = []
        for child in generation:
            for parent, relation in parents.get(child, []):
                if parent != content_hash and parent not in found:
                    found[parent] = Ancestor(parent, distance, relation, child)
                    following.append(parent)
        generation = sorted(following)
    return sorted(found.values(), key=lambda ancestor: (ancestor.distance, ancestor.hash))
