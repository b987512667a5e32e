"""gzip, bzip2, xz and zstd, unpacked as they are read: within bounds, members one after the other, damage told in one sentence.

A few hundred bytes can unpack to a terabyte. Nothing here is held beyond a block, so memory is safe; what is bounded is time and disk: a file
may unpack to so many times its own size beyond a first allowance, and to so much in all.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError

FREE = 64 * 2**20
"""Bytes that may be unpacked whatever the ratio."""
_BLOCK = 2**17
_WINDOW_LOG = 27
"""zstd's window: at most 128 MiB, which is what its own tool grants."""
_XZ_MEMORY = 256 * 2**20
_MEMORY = {"xz": _XZ_MEMORY, "zstd": 2**_WINDOW_LOG}
"""What a file may ask for; the other kinds ask for no more than they always need."""


@dataclass(slots=True)
class Bounds:
    """How far one packed file, or all members of one archive together, may unpack."""

    ratio: float
    most: float
    packed: int = 0
    """Bytes read of it so far."""
    unpacked: int = 0

    def take(self, packed: int, unpacked: int, name: str) -> None:
        """Count what was read and what came of it; DataError where that is too much."""
        self.packed += packed
        self.unpacked += unpacked
        if self.unpacked > self.most:
            raise DataError(f"{name} unpacks to over {self.most / 2**30:g} GiB: divide it, or raise data.read.max_unpacked_gib.")
        if self.unpacked > FREE + self.ratio * self.packed:
            raise DataError(
                f"{name} unpacks to over {self.ratio:g} times its size, as a zip bomb does: unpack it yourself and look at it, "
                "or raise data.read.max_unpacked_ratio."
            )


class _Gzip:
    """zlib's object with the face that bz2, lzma and zstd share."""

    def __init__(self) -> None:
        self._one = zlib.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._one.eof

    @property
    def unused_data(self) -> bytes:
        return self._one.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        out = self._one.decompress(self._one.unconsumed_tail + data, most)
        self.needs_input = not self._one.unconsumed_tail and len(out) < most
        return out


def _bzip2() -> Any:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _zstd() -> Any:
    from backports.zstd import DecompressionParameter, ZstdDecompressor

    return ZstdDecompressor(options={DecompressionParameter.window_log_max: _WINDOW_LOG})


_KINDS: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"BZh": ("bzip2", _bzip2),
    b"\xfd7zXZ\x00": ("xz", _xz),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    **{bytes([low]) + b"\x2a\x4d\x18": ("zstd", _zstd) for low in range(0x50, 0x60)},
}


def packing(start: bytes) -> str:
    """What a file that starts so is packed with: gzip, bzip2, xz, zstd, or nothing."""
    return next((name for magic, (name, _) in _KINDS.items() if start.startswith(magic)), "")


class Unpacked(io.RawIOBase):
    """The bytes that a packed file stands for; DataError where it is cut short, damaged, or over its bounds."""

    def __init__(self, file: BinaryIO, kind: str, name: str, bounds: Bounds) -> None:
        self._file, self._kind, self._name, self._bounds = file, kind, name, bounds
        self._make = next(make for known, make in _KINDS.values() if known == kind)
        self._member = self._make()
        self._waiting = b""
        self._ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Close the packed file too."""
        if not self.closed:
            self._file.close()
        super().close()

    def readinto(self, into: Any) -> int:
        """Fill `into` as far as there are bytes."""
        view, filled = memoryview(into).cast("B"), 0
        while filled < len(view) and not self._ended:
            block = self._next(len(view) - filled)
            view[filled : filled + len(block)] = block
            filled += len(block)
        return filled

    def _next(self, most: int) -> bytes:
        """Some bytes; none where the member went on without giving any, or all has ended."""
        try:
            if self._member.eof:
                self._go_on()
                return b""
            taken = self._waiting
            if not taken and self._member.needs_input:
                taken = self._read()
                if not taken:
                    raise EOFError
            self._waiting = b""
            block = bytes(self._member.decompress(taken, most))
        except DataError:
            raise
        except OSError as error:
            if error.errno is not None:
                raise
            raise self._damaged() from error  # bz2's own have no number
        except Exception as error:  # each of the four libraries has errors of its own, and the bytes are anybody's
            raise self._damaged() from error
        self._bounds.take(0, len(block), self._name)
        return block

    def _read(self) -> bytes:
        block = self._file.read(_BLOCK)
        self._bounds.take(len(block), 0, self._name)
        return block

    def _go_on(self) -> None:
        """To the next member, where there is one: zeros behind the last are padding."""
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest and (block := self._read()):
            rest = block.lstrip(b"\0")
        self._ended = not rest
        self._waiting, self._member = rest, self._make()

    def _damaged(self) -> DataError:
        memory = f", or asks for over {_MEMORY[self._kind] >> 20} MiB of memory" if self._kind in _MEMORY else ""
        return DataError(f"{self._name} can't be unpacked (its {self._kind} data is cut short or damaged{memory}): copy or write it again.")


class Bounded(io.RawIOBase):
    """Bytes that somebody else unpacks (a member of an archive), counted against its bounds."""

    def __init__(self, file: Any, name: str, bounds: Bounds) -> None:
        self._file, self._name, self._bounds = file, name, bounds

    def readable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Close what it reads from too."""
        if not self.closed:
            self._file.close()
        super().close()

    def readinto(self, into: Any) -> int:
        """Fill `into` as far as there are bytes."""
        view = memoryview(into).cast("B")
        try:
            block: bytes = self._file.read(len(view))
        except DataError:
            raise
        except Exception as error:  # zipfile and tarfile let many errors through, and the bytes are anybody's
            raise DataError(f"{self._name} can't be unpacked (it is cut short, damaged or locked): copy or write it again.") from error
        self._bounds.take(0, len(block), self._name)
        view[: len(block)] = block
        return len(block)
