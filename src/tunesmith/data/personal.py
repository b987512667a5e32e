"""Personal data of a dataset being made: what replaces it where the recipe asks for that, and what is seen where it doesn't."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.core.rows import Row
from tunesmith.core.seeds import derive_seed
from tunesmith.data.anonymise import Anonymiser, MapFile, scan
from tunesmith.data.config import Task
from tunesmith.data.making import Making
from tunesmith.data.settings.anonymise import AnonymiseConfig

LOOKED = 2000
"""So many rows, drawn from all, are looked at where nothing is to be replaced."""


@contextmanager
def replacing(making: Making) -> Iterator[None]:
    """While inside, the making has an anonymiser where the recipe asks for one; afterwards its finding `personal`.

    Raises:
        RecipeError: the key is too short, the map exists already or lies among datasets, a model is named and none was handed in.
        MachineError: the key can't be read, the map can't be written.
    """
    config = making.config.anonymise
    if config is None:
        yield
        return
    if config.model is not None and making.handed.recogniser is None:
        raise RecipeError(
            f"data.anonymise.model is {config.model}, and no model is at hand here: leave it out, or use `tunesmith prepare`."
        )
    with ExitStack() as stack:
        map_file = None
        if config.map is not None:
            map_file = stack.enter_context(MapFile(config.map, making.handed.datasets or making.folder))
        main = making.readings["train"]
        making.anonymiser = Anonymiser(
            config,
            making.seed,
            key=_key(config),
            recogniser=making.handed.recogniser,
            labels=making.task is Task.CLASSIFY,
            grouped=[column for column in (making.config.split.by,) if column is not None],
            apart=[main.mapping[role] for role in ("label", "labels") if role in main.mapping],
            map_file=map_file,
        )
        yield
    counts = making.anonymiser.counts
    making.found("personal", {"looked": len(making.account.keys), "kinds": dict(counts.most_common()), "replaced": True})


def look(making: Making) -> None:
    """Count what personal data stands in a sample of rows that are kept as they are; nothing of it is told but how much of which kind."""
    count = len(making.spool)
    chosen = range(count) if count <= LOOKED else sorted(Random(derive_seed(making.seed, "look")).sample(range(count), LOOKED))
    rows = list(making.spool.rows(chosen))
    counts = scan([text for row in rows for text in _texts(row)])
    making.found("personal", {"looked": len(rows), "kinds": dict(counts.most_common()), "replaced": False})


def _texts(row: Row) -> Iterator[str]:
    """All that a row says, its other columns too."""
    yield from (turn.content for turn in row.prompt)
    yield row.answer
    if row.rejected is not None:
        yield row.rejected
    yield from (value for value in row.fields.values() if isinstance(value, str))


def _key(config: AnonymiseConfig) -> bytes | None:
    if config.key is None:
        return None
    try:
        return config.key.expanduser().read_bytes()
    except OSError as error:
        raise MachineError(f"data.anonymise.key is {config.key}, which can't be read: {error.strerror or error}.") from error
