"""`/v1/files`: what tenants send to train on, and the results they get back, as OpenAI's clients ask for them.

Another tenant's file does not exist for whoever asks, an admin's key included. A job under way has the bytes for itself, so a file may be
deleted at any time.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import Response, StreamingResponse

from tunesmith.ledger.files import FileRecord
from tunesmith.ledger.keys import KeyRecord
from tunesmith.serve.file_store import BLOCK
from tunesmith.serve.refusals import Refusal
from tunesmith.serve.tuning import Tuning, epoch

if TYPE_CHECKING:
    from tunesmith.serve.app import Gateway

Id = Annotated[str, Query(max_length=64)]


def shown_file(record: FileRecord) -> dict[str, Any]:
    """A file as OpenAI's clients read it."""
    return {
        "id": record.id,
        "object": "file",
        "bytes": record.bytes,
        "created_at": epoch(record.created),
        "filename": record.name,
        "purpose": record.purpose,
        "status": "processed",
        "status_details": None,
        "expires_at": None,
    }


def found_file(tuning: Tuning, key: KeyRecord, identity: str) -> FileRecord:
    """A key's own file. Refusal (404) where its tenant has none of this id."""
    record = tuning.store.files.find(key.tenant, identity)
    if record is None:
        raise _no_file()
    return record


def _no_file() -> Refusal:
    return Refusal(404, "There is no file of this id: GET /v1/files lists yours.", "file_not_found", "file_id")


def _opened(path: Path) -> tuple[int, Iterator[bytes]]:
    """A file's bytes, and how many: once it is open it may be deleted under whoever reads it. Refusal (404) where it is gone."""
    try:
        file = path.open("rb")
    except OSError:
        raise _no_file() from None
    size = os.fstat(file.fileno()).st_size

    def blocks() -> Iterator[bytes]:
        with file:
            while block := file.read(BLOCK):
                yield block

    return size, blocks()


def page(data: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A list as OpenAI's clients turn its pages; `data` holds one more than asked where there is more."""
    shown = data[:limit]
    ends = {"first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None}
    return {"object": "list", "data": shown, "has_more": len(data) > limit} | ends


def files_routes(app: FastAPI, gateway: "Gateway", tuning: Tuning) -> None:
    """Add the routes."""
    Key = Annotated[KeyRecord, Depends(gateway.may("train"))]

    @app.post("/v1/files")
    async def upload(request: Request, key: Key) -> dict[str, Any]:
        header = request.headers.get("content-type", "")
        return shown_file(await tuning.store.receive(key.tenant, key.id, header, request.stream()))

    @app.get("/v1/files")
    async def files(
        key: Key,
        purpose: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
        after: Id = "",
        order: Literal["asc", "desc"] = "desc",
    ) -> dict[str, Any]:
        ask: Callable[[], list[FileRecord]] = lambda: tuning.store.files.list(  # noqa: E731
            key.tenant, purpose=purpose, limit=limit + 1, after=after, newest_first=order == "desc"
        )
        return page([shown_file(record) for record in await tuning.aside.run(ask)], limit)

    @app.get("/v1/files/{file_id}")
    async def file(file_id: str, key: Key) -> dict[str, Any]:
        return shown_file(await tuning.aside.run(lambda: found_file(tuning, key, file_id)))

    @app.get("/v1/files/{file_id}/content")
    async def content(file_id: str, key: Key) -> Response:
        record = await tuning.aside.run(lambda: found_file(tuning, key, file_id))
        kind = "text/csv" if record.purpose == "fine-tune-results" else "application/jsonl"
        size, blocks = await asyncio.to_thread(_opened, tuning.store.path(record))
        headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return StreamingResponse(blocks, media_type=kind, headers=headers)

    @app.delete("/v1/files/{file_id}")
    async def delete(file_id: str, key: Key) -> dict[str, Any]:
        record = await tuning.aside.run(lambda: found_file(tuning, key, file_id))
        await tuning.aside.run(lambda: tuning.store.remove(key.tenant, record.id))
        return {"id": record.id, "object": "file", "deleted": True}
