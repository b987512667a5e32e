"""Many files read as one: which of a folder's, a glob's or an archive's names are meant, and what people call each.

One family of files is read, in order of name. Hidden files and half-written ones (`.part`) don't count, and companions (README, LICENSE, what `datasets`
writes of itself) give way. Files of several splits are never read as one set: the rows of a test file would be trained on.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from tunesmith.core.errors import RecipeError
from tunesmith.data.formats import SUFFIXES, suffix_of

MOST = 100_000
"""Files of one source."""
_COMPANION = re.compile(
    r"(readme|licen[cs]e|changelog|notice|authors|citation|contributing|dataset_infos?|dataset_dict|state|metadata)\b", re.I
)
_SPLIT = re.compile(r"(?:^|[-_./])(train|training|test|testing|validation|valid|val|dev|eval)(?=$|[-_./0-9])", re.I)
_SAME = {"training": "train", "testing": "test", "valid": "validation", "val": "validation", "dev": "validation", "eval": "validation"}


def family_of(name: str, documents: bool) -> str:
    """The family that a file's name says, or nothing; a .txt is a document where the recipe says so."""
    family = SUFFIXES.get(suffix_of(name), "")
    return "document" if family == "txt" and documents else family


def chosen(names: Iterable[str], where: str, documents: bool, base: str = "") -> tuple[str, list[str]]:
    """The family to read and the names of its files, sorted.

    Args:
        names: paths within the folder or archive, with `/`.
        where: its path or pattern, for messages.
        base: the folder that names begin at, where `where` is a pattern.
        documents: whether .txt files are documents.

    Raises:
        RecipeError: there is none, there are several families or splits, or there are too many.
    """
    families: dict[str, list[str]] = defaultdict(list)
    others: Counter[str] = Counter()
    base = (base or where).rstrip("/")
    for name in sorted(names):
        if any(_is_hidden(part) for part in PurePosixPath(name).parts):
            continue
        family = family_of(name, documents)
        if family:
            families[family].append(name)
        else:
            others[suffix_of(name) or "no suffix"] += 1
        if sum(map(len, families.values())) > MOST:
            raise RecipeError(f"{where} holds over {MOST:,} files: join them into fewer.")
    if len(families) > 1:
        rows = {family: [one for one in held if not _COMPANION.match(PurePosixPath(one).name)] for family, held in families.items()}
        families = defaultdict(list, {family: held for family, held in rows.items() if held} or families)
    if not families:
        held = f" (it holds {', '.join(f'{count} {kind}' for kind, count in others.most_common(4))})" if others else ""
        raise RecipeError(f"{where} holds no file of a known format{held}: give files that end in one of {', '.join(SUFFIXES)}.")
    if len(families) > 1:
        held = ", ".join(f"{len(names)} {family}" for family, names in sorted(families.items()))
        raise RecipeError(
            f"{where} holds files of several kinds ({held}): name one kind, such as {base}/*{suffix_of(max(families.values(), key=len)[0])}."
        )
    ((family, found),) = families.items()
    if family != "document":
        _check_splits(found, where, base)
    return family, found


def _is_hidden(part: str) -> bool:
    """Whether a name is nobody's data: hidden, half-written, or what an office program or macOS leaves behind."""
    return part not in (".", "..") and (part.startswith((".", "~$", "__MACOSX")) or part.endswith(".part"))


def _check_splits(names: Sequence[str], where: str, base: str) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[_split_of(name)].append(name)
    found.pop("", None)
    if len(found) > 1:
        of_one = found.get("train") or min(found.values())
        start = of_one[0][: next((at for at, marks in enumerate(zip(*of_one, strict=False)) if len(set(marks)) > 1), 0)]
        raise RecipeError(
            f"{where} holds files of several splits ({', '.join(sorted(found))}), which are not read as one set: name one, such as "
            f"{base}/{of_one[0] if len(of_one) == 1 or not start else start + '*'}, and the others with data.validation_path and data.test_path."
        )


def _split_of(name: str) -> str:
    """The split that a path names, the last where it names several; nothing where it names none."""
    words = _SPLIT.findall(name)
    return _SAME.get(words[-1].casefold(), words[-1].casefold()) if words else ""


def shown(names: Sequence[str]) -> list[str]:
    """What people call each file: its name, with its folder where another has the same."""
    counts = Counter(PurePosixPath(name).name for name in names)
    return [printable(PurePosixPath(name).name if counts[PurePosixPath(name).name] == 1 else name) for name in names]


def printable(name: str) -> str:
    """A name as it may be shown and written: what prints nothing as a question mark."""
    return "".join(mark if mark.isprintable() else "?" for mark in name)[:200]
