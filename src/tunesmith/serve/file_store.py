"""Files of tenants on disk: received as a stream, checked, kept under their own id, whole or not at all.

A file in flight takes one block of memory, however long it is. The client's name for it goes into the ledger, for people; no path is ever
made of anything a client said.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from tunesmith.core.errors import MachineError, TunesmithError
from tunesmith.core.files import make_folder, whole_file
from tunesmith.ledger.files import FileRecord, Files, QuotaError
from tunesmith.ledger.jobs import JobRecord
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.examples import BadExample, check_examples
from tunesmith.serve.refusals import Refusal, wrong

T = TypeVar("T")
BLOCK = 2**20
MOST_FIELD = 1024
"""Bytes of a form's field that is no file."""
MOST_AT_ONCE = 4
"""Files that a tenant may be sending at the same time."""
STALL_SECONDS = 30.0
"""A client that sends nothing for so long is given up."""
LEFT_SECONDS = 86_400.0
"""What a kill left is removed when it is as old as this: younger things may be another server's work."""
PART = ".part"
"""How the names end of what is not whole yet."""
_FIELDS = ("purpose", "file")


@dataclass(slots=True)
class Incoming:
    """A form on its way in: small fields in memory, the file in its temporary place."""

    path: Path
    most: int
    fields: dict[str, bytes] = field(default_factory=dict)
    name: str | None = None
    size: int = 0
    hash: Any = field(default_factory=sha256)
    ended: bool = False
    _header: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _field: str = ""
    _block: bytearray = field(default_factory=bytearray)

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """For the parser."""
        return {
            "on_part_begin": self._headers.clear,
            "on_header_begin": self._new_header,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_done,
            "on_headers_finished": self._part,
            "on_part_data": self._data,
            "on_end": self._done,
        }

    def flush(self) -> None:
        """Write what is in memory."""
        with self.path.open("ab") as file:
            file.write(self._block)
        self._block.clear()

    @property
    def full(self) -> bool:
        """Whether a block is there to be written."""
        return len(self._block) >= BLOCK

    def _new_header(self) -> None:
        for part in self._header:
            part.clear()

    def _header_done(self) -> None:
        self._headers[bytes(self._header[0]).lower()] = bytes(self._header[1])

    def _part(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, told = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._field = told.get(b"name", b"").decode("utf-8", "replace")
        if self._field not in _FIELDS:
            shown = "".join(mark for mark in self._field[:40] if mark.isprintable())
            raise wrong(shown, f"'{shown}' is not served here: a file comes with its purpose and nothing else.", "unknown_parameter")
        if (self._field == "file" and self.name is not None) or self._field in self.fields:
            raise wrong(self._field, f"'{self._field}' came twice: send it once.")
        if self._field == "file":
            self.name = shown_name(told.get(b"filename", b"").decode("utf-8", "replace"))
        else:
            self.fields[self._field] = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._field != "file":
            self.fields[self._field] += piece
            if len(self.fields[self._field]) > MOST_FIELD:
                raise wrong(self._field, f"'{self._field}' is longer than {MOST_FIELD:,} bytes.")
            return
        self.size += len(piece)
        if self.size > self.most:
            raise too_large(self.most)
        self.hash.update(piece)
        self._block += piece

    def _done(self) -> None:
        self.ended = True


def too_large(most: int) -> Refusal:
    """A file beyond the bound."""
    return Refusal(413, f"The file is larger than {most // 2**20:,} MiB, the most that is taken: send less.", "file_too_large", "file")


def shown_name(name: str) -> str:
    """A file's name for people: its last part, what can be printed of it, 255 characters at most."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(mark for mark in last if mark.isprintable())[:255] or "file"


class FileStore:
    """The files of all tenants."""

    def __init__(self, folder: Path, files: Files, config: ServeConfig) -> None:
        """Make the folder where it is missing. MachineError where that can't be."""
        self.folder, self.files, self.config = make_folder(folder), files, config
        self._sending: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(2, "files")  # its own: a large file is not to hold up what else waits for a thread

    def path(self, record: FileRecord) -> Path:
        """Where its bytes lie."""
        return self.folder / record.id

    async def receive(self, tenant: str, key_id: str, content_type: str, stream: AsyncIterator[bytes]) -> FileRecord:
        """Take a file in.

        Args:
            tenant: whose it becomes.
            key_id: who sends it.
            content_type: the request's header, with the boundary.
            stream: the body.

        Raises:
            Refusal: not a form, too large, a purpose or lines that are not served, a quota that is used up, a client that stalls or leaves.
        """
        if self._sending.get(tenant, 0) >= MOST_AT_ONCE:
            message = f"{MOST_AT_ONCE} files are being sent, as many as may at the same time: come again when one is done."
            raise Refusal(429, message, "rate_limit_exceeded", headers={"Retry-After": "5"})
        self._sending[tenant] = self._sending.get(tenant, 0) + 1
        incoming = Incoming(self.folder / f".{secrets.token_hex(16)}{PART}", self.config.file_mib * 2**20)
        try:
            await self._parse(incoming, content_type, stream)
            return await self._apart(self._keep, incoming, tenant, key_id)
        except ClientDisconnect:
            raise Refusal(499, "The client left.", "client_closed") from None
        except MachineError:
            raise Refusal(503, "The file could not be kept: send it again later.", "not_kept", headers={"Retry-After": "30"}) from None
        finally:
            incoming.path.unlink(missing_ok=True)
            self._sending[tenant] -= 1
            if not self._sending[tenant]:
                del self._sending[tenant]

    async def _parse(self, incoming: Incoming, content_type: str, stream: AsyncIterator[bytes]) -> None:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header

        kind, told = parse_options_header(content_type)
        boundary = told.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise Refusal(400, "A file comes as multipart/form-data, with the fields purpose and file.", "invalid_form")
        try:
            parser = MultipartParser(boundary, incoming.callbacks())  # type: ignore[arg-type]
            async for chunk in _unstalled(stream):
                parser.write(chunk)
                if incoming.full:
                    await self._apart(self._flush, incoming)
            parser.finalize()
        except FormParserError:
            raise Refusal(400, "The form can't be read: send multipart/form-data, whole.", "invalid_form") from None
        if not incoming.ended:
            raise Refusal(400, "The form ends before its last boundary: send it whole.", "invalid_form")
        await self._apart(self._flush, incoming)

    async def _apart(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    @staticmethod
    def _flush(incoming: Incoming) -> None:
        try:
            incoming.flush()
        except OSError as error:
            raise MachineError(f"A file can't be written: {error.strerror or error}.") from error

    def _keep(self, incoming: Incoming, tenant: str, key_id: str) -> FileRecord:
        purpose = incoming.fields.get("purpose", b"").decode("utf-8", "replace")
        if purpose != "fine-tune":
            raise wrong("purpose", "Files are taken to be trained on: send purpose fine-tune.", "invalid_purpose")
        if incoming.name is None:
            raise wrong("file", "'file' is missing: send the JSONL file.", "missing_required_parameter")
        try:
            found = check_examples(incoming.path)
        except BadExample as bad:
            raise wrong("file", f"{bad} The form of files: docs/guide/fine-tuning-api.md.", "invalid_file_format") from None
        record = FileRecord(
            tenant=tenant, key_id=key_id, name=incoming.name, form=found.form, rows=found.rows,
            bytes=incoming.size, content_hash=incoming.hash.hexdigest(),
        )  # fmt: skip
        return self.put(record, incoming.path, most=self.config.most_files, most_bytes=self.config.tenant_mib * 2**20)

    def put(self, record: FileRecord, source: Path, *, most: int | None = None, most_bytes: int | None = None) -> FileRecord:
        """Move bytes into place and make their record. Refusal (400) where the quota is used up, MachineError where it can't be."""
        path = self.path(record)
        with whole_file(path) as temporary:
            source.replace(temporary)
        try:
            return self.files.keep(record, most=most, most_bytes=most_bytes)
        except QuotaError as error:
            path.unlink(missing_ok=True)
            raise Refusal(400, str(error), "storage_quota_exceeded", "file") from None
        except TunesmithError:
            path.unlink(missing_ok=True)
            raise

    def remove(self, tenant: str, identity: str) -> bool:
        """Delete a tenant's file; whether there was one."""
        record = self.files.find(tenant, identity)
        if record is None:
            return False
        self.path(record).unlink(missing_ok=True)  # first: after a kill in between it can be deleted again, and no bytes are left behind
        return self.files.forget(tenant, identity)

    def sweep(self) -> int:
        """Remove bytes on their way that kills left a day ago or earlier; returns how many files.

        What is whole stays, known to the ledger or not: it may be another ledger's, or this one's before it was put back from a copy.
        """
        limit, removed = time.time() - LEFT_SECONDS, 0
        for path in self.folder.iterdir():
            with suppress(OSError):
                if path.suffix == PART and path.is_file() and path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
        return removed


def result_file(folder: Path, files: Files, job: JobRecord, name: str, text: str) -> FileRecord:
    """Keep a text as the result file of a job: one a job, however often it is written. MachineError where it can't be."""
    data, tenant, key_id = text.encode(), job.tenant, job.key_id
    identity = "file-" + sha256(f"result of {job.id}".encode()).hexdigest()[:24]
    record = FileRecord(
        id=identity,
        tenant=tenant,
        key_id=key_id,
        name=name,
        purpose="fine-tune-results",
        bytes=len(data),
        content_hash=sha256(data).hexdigest(),
    )
    make_folder(folder)
    with whole_file(folder / record.id) as temporary:
        temporary.write_bytes(data)
    return files.keep(record)


async def _unstalled(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces. Refusal (408) where one takes too long."""
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                piece = await anext(stream, None)
        except TimeoutError:
            raise Refusal(408, f"Nothing came for {STALL_SECONDS:.0f} s: send the file again.", "timeout") from None
        if piece is None:
            return
        yield piece


def same_bytes(path: Path, wanted: str) -> bool:
    """Whether a file still has its hash."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest() == wanted


def link(source: Path, target: Path) -> None:
    """Another name for the same bytes, or a copy where the file system has no such thing. FileNotFoundError where there are none, MachineError where neither can be."""
    import shutil

    make_folder(target.parent)
    if target.exists():
        return
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        with whole_file(target) as temporary:
            shutil.copyfile(source, temporary)
