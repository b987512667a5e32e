"""Files inside a .zip or .tar (packed in any way), read member by member as a stream: nothing is written to disk, so no name can lead anywhere.

A tar is listed in one pass and read in another, and again for a member that its reader opens twice. All members together share one bound on
how far they unpack. Links, devices and sparse members (which can claim any size) are no files here.
"""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

from tunesmith.core.errors import DataError
from tunesmith.data.formats import PACKED, Source
from tunesmith.data.formats.many import chosen, printable, shown
from tunesmith.data.formats.opening import bounds_of, source_of
from tunesmith.data.formats.packed import Bounded, Bounds, Unpacked, packing

_SHORT = (".tgz", ".tbz", ".tbz2", ".txz", ".tzst")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)


def is_archive(name: str) -> bool:
    """Whether a name says that a file holds others."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in (".zip", ".tar", *_SHORT)


def archive(path: Path, like: Source) -> tuple[str, Source]:
    """The family of an archive's files, and a source that reads them one after the other.

    Raises:
        RecipeError: it holds none, or of several kinds or splits.
        DataError: it is damaged, locked, or unpacks too far.
    """
    with path.open("rb") as file:
        is_zip = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    size = path.stat().st_size
    try:
        names = _zip_names(path) if is_zip else [name for name, _ in _tar(path, bounds_of(like))]
    except DataError:
        raise
    except Exception as error:  # zipfile and tarfile let many errors through, and the bytes are anybody's
        raise _damaged(path) from error
    family, wanted = chosen(names, str(path), like.config.documents)
    if len(set(wanted)) < len(wanted):
        raise DataError(f"{path} holds {printable(next(one for one in wanted if wanted.count(one) > 1))!r} twice: pack it again.")
    called = dict(zip(wanted, shown(wanted), strict=True))
    if is_zip:
        return family, Source(
            path, like.open, like.longest, like.notes, like.config, lambda: _zip_parts(path, called, like, bounds_of(like, size))
        )
    return family, Source(path, like.open, like.longest, like.notes, like.config, lambda: _tar_parts(path, called, like))


def _damaged(path: Path) -> DataError:
    return DataError(f"{path} can't be read as an archive (it is cut short, damaged or locked): copy or write it again.")


def _zip_names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as held:
        return [info.filename for info in held.infolist() if not info.is_dir()]


def _zip_parts(path: Path, called: dict[str, str], like: Source, bounds: Bounds) -> Iterator[Source]:
    try:
        held = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError) as error:
        raise _damaged(path) from error
    with held:
        for name in sorted(called):

            def raw(name: str = name) -> BinaryIO:
                return _member(held, name, path, bounds)

            yield source_of(path / printable(name), raw, like, called[name])


def _member(held: zipfile.ZipFile, name: str, path: Path, bounds: Bounds) -> BinaryIO:
    try:
        info = held.getinfo(name)
        if info.flag_bits & 1:
            raise DataError(f"{path} is locked with a password: unpack it and give the files.")
        if info.compress_type not in _METHODS:
            raise DataError(
                f"{path / printable(name)} is packed in a way that isn't read: pack the archive again with deflate, or unpack it."
            )
        return cast(BinaryIO, Bounded(held.open(info), str(path / printable(name)), bounds))
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise _damaged(path) from error


def _tar(path: Path, bounds: Bounds) -> Iterator[tuple[str, BinaryIO]]:
    """The files of a tar in the order they lie in it, each to be read before the next is asked for."""
    with path.open("rb") as file:
        kind = packing(file.peek(8))
        raw: Any = io.BufferedReader(Unpacked(file, kind, str(path), bounds)) if kind else file
        with closing(tarfile.open(fileobj=raw, mode="r|", errorlevel=1)) as held:
            for member in held:
                if member.isreg() and not member.issparse():
                    opened = held.extractfile(member)
                    if opened is not None:
                        yield member.name, cast(BinaryIO, opened)
                cast(Any, held).members = []  # tarfile keeps every header it met


def _tar_parts(path: Path, called: dict[str, str], like: Source) -> Iterator[Source]:
    """Members in the order they lie there: another would read the archive once for each."""
    try:
        for name, opened in _tar(path, bounds_of(like)):
            if name not in called:
                continue
            yield source_of(path / printable(name), _Reopening(path, name, opened, like), like, called[name])
    except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
        raise _damaged(path) from error


class _Reopening:
    """Opens a member where the archive is being read, once; after that by reading it again up to there."""

    def __init__(self, path: Path, name: str, opened: BinaryIO, like: Source) -> None:
        self._path, self._name, self._opened, self._like = path, name, opened, like
        self._used = False

    def __call__(self) -> BinaryIO:
        if not self._used:
            self._used = True
            return cast(BinaryIO, Bounded(self._opened, str(self._path), Bounds(1.0, float("inf"), packed=2**62)))
        walk = _tar(self._path, bounds_of(self._like))
        for name, opened in walk:
            if name == self._name:
                return cast(BinaryIO, Bounded(_Kept(opened, walk), str(self._path), Bounds(1.0, float("inf"), packed=2**62)))
        raise _damaged(self._path)


class _Kept:
    """A member and the walk it stands in, which would close the archive if it were let go."""

    def __init__(self, opened: BinaryIO, walk: Any) -> None:
        self._opened, self._walk = opened, walk

    def read(self, count: int) -> bytes:
        """Bytes of the member."""
        return self._opened.read(count)

    def close(self) -> None:
        """End the walk."""
        self._walk.close()
