"""What text is encoded in: UTF-8 first; marks of UTF-16 and UTF-32 are believed; a line that is neither may be Windows-1252.

Windows-1252 (which holds latin-1's letters) is guessed line by line, so that a file glued together from two keeps both halves. A line is not guessed
where it has control characters, bytes that Windows-1252 leaves undefined, four high bytes in a row (a script that isn't Latin), or what can
only be damaged UTF-8: it is set aside, as nothing else would keep what it said.
"""

import codecs
import io
import re
from typing import Any, BinaryIO

from tunesmith.core.errors import DataError
from tunesmith.data.formats import Legacy

_NOT_WESTERN = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f\x81\x8d\x8f\x90\x9d]|[\x80-\xff]{4}|\xc3[\x80-\xbf]|\xe2\x80[\x80-\xbf]")
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_BLOCK = 2**16
_ERRORS = "tunesmith.mark"
"""Name of the handler that puts half a surrogate pair where bytes can't be decoded: no file holds one as UTF-8, so their line is set aside."""
codecs.register_error(_ERRORS, lambda error: ("\udcff", error.end if isinstance(error, UnicodeDecodeError) else 0))


def encoding_of(start: bytes) -> str:
    """The encoding that the first bytes of a text show, where it is of two or four bytes a character; nothing otherwise."""
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    if marked or len(start) < 8:
        return marked
    even, odd = start[0::2], start[1::2]
    if odd.count(0) > 0.8 * len(odd) and even.count(0) == 0:
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > 0.8 * len(even) and odd.count(0) == 0 else ""


def as_western(data: bytes, number: int, legacy: Legacy) -> str | None:
    """A line that isn't UTF-8 as Windows-1252, counted; None where that isn't what it is."""
    if _NOT_WESTERN.search(data):
        return None
    legacy.lines += 1
    legacy.first = legacy.first or number
    return data.decode("cp1252")


class Transcoded(io.RawIOBase):
    """Text in any encoding as UTF-8 bytes; what can't be decoded becomes bytes that are no UTF-8. DataError where nothing of it can be."""

    def __init__(self, file: BinaryIO, encoding: str, name: str) -> None:
        self._file, self._encoding, self._name = file, encoding, name
        self._decoder = codecs.getincrementaldecoder(encoding)(_ERRORS)
        self._held = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Close the file too."""
        if not self.closed:
            self._file.close()
        super().close()

    def readinto(self, into: Any) -> int:
        """Fill `into` as far as there are bytes; 0 only at the end."""
        while not self._held and not self._ended:
            block = self._file.read(_BLOCK)
            self._ended = not block
            self._held = memoryview(self._decoded(block).encode("utf-8", "surrogatepass"))
        view = memoryview(into).cast("B")
        count = min(len(view), len(self._held))
        view[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _decoded(self, block: bytes) -> str:
        try:
            return self._decoder.decode(block, self._ended)
        except UnicodeError as error:  # no mark where UTF-16 and UTF-32 begin: that is no matter of one line
            raise DataError(
                f"{self._name} is not {self._encoding.upper()}: leave data.read.encoding out, or name another (without a mark, "
                "UTF-16 is utf-16-le or utf-16-be)."
            ) from error
