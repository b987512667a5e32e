"""From the recipe's `data` section to a dataset: the stages in order, every row accounted for.

Rows stream through the stages that look at one row at a time into a spool on disk (`cleaning`); stages that must see all rows
see a table of keys, some hundred bytes a row (`deciding`); a last pass writes the sides (`writing`). Memory does not grow with
the length of texts.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from tunesmith.core.errors import RecipeError
from tunesmith.core.files import explained
from tunesmith.core.progress import Listener, silent
from tunesmith.core.seeds import derive_seed
from tunesmith.data import checks
from tunesmith.data.config import DataConfig
from tunesmith.data.dataset import Prepared
from tunesmith.data.fill import check_fill
from tunesmith.data.forms import printable
from tunesmith.data.making import Handed, Making
from tunesmith.data.read import Reading, read

_NOTHING = Handed()


def prepare(
    config: DataConfig, seed: int, listen: Listener = silent, *, scratch: Path | None = None, handed: Handed = _NOTHING
) -> Prepared:
    """Read, clean, check, divide and sample the rows that a recipe names.

    Args:
        config: the recipe's `data` section.
        seed: the recipe's seed; split and samples each derive their own from it.
        listen: told of each stage, of what was guessed, and of what a person should know.
        scratch: a folder for what passes through the disk, about three times the rows' size; the system's own where absent.
        handed: what stages need from upstairs.

    Raises:
        RecipeError: a path, a column or a task that isn't there.
        DataError: the rows can't serve: unreadable, all of one class, too few for every side.
        MachineError: a file may not be read, or the disk is full.
    """
    readings = _opened(config)
    main = readings["train"]
    checks.check_config(config, main)
    check_fill(config.fill, main.mapping, {*main.columns, *main.mapping.values()})
    with explained(scratch or Path("the system's folder for temporary files")):
        held = TemporaryDirectory(prefix="prepare-", dir=scratch)
    try:
        making = Making(config, seed, listen, readings, held, handed)
        shown = ", ".join(f"{role}: {printable(column)}" for role, column in main.mapping.items())
        making.say(f"{config.path}: rows of the form {main.form.name} ({shown}), task {main.task.value}")
        return _made(making)
    except BaseException:
        held.cleanup()
        raise


def _made(making: Making) -> Prepared:
    """The passes in order."""
    from tunesmith.data.anonymise import masked
    from tunesmith.data.auditing import Auditing
    from tunesmith.data.cleaning import clean
    from tunesmith.data.deciding import Deciding
    from tunesmith.data.near import NearDuplicates
    from tunesmith.data.personal import replacing
    from tunesmith.data.showing import looks
    from tunesmith.data.writing import Writing

    auditing = Auditing(making)
    nearness = making.config.dedup.nearness
    near = None
    if nearness is not None:
        folder = making.folder / "near"
        folder.mkdir()
        near = NearDuplicates(nearness, folder, derive_seed(making.seed, "near"))
    with replacing(making):
        clean(making, near.add if near is not None else lambda shown: None)
    clusters = None
    if near is not None:
        with making.work("near-duplicates", len(making.table)):
            clusters = near.clusters()
    sides_N, errors = Deciding(making, clusters).sides()
    dataset = Writing(making, sides_N, errors.fixes).written()
    seen = looks(making, clusters, errors.ranked, masked)
    with making.work("audit"):
        seen |= auditing.result(sides_N, masked)
    making.spool.close()
    making.account.quarantine.close()
    return Prepared(dataset, making.account.quarantine, making.held, errors.ranked, seen)


def _opened(config: DataConfig) -> dict[str, Reading]:
    """Each file opened; those supplied apart like the first, where they have its columns."""
    main = read(config.path, config.read, config.task)
    alike = config.read.model_copy(update={"columns": main.mapping, "label_separator": main.separator or config.read.label_separator})
    readings = {"train": main}
    for name, path in (("validation", config.validation_path), ("test", config.test_path)):
        if path is None:
            continue
        try:
            readings[name] = read(path, alike, main.task)
        except RecipeError:  # its columns have other names: let it be recognised by itself
            readings[name] = read(path, config.read, main.task)
    return readings
