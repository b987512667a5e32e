"""Clients that ask as fast as they are answered, as a process of its own. Standard library only, and light: both sides pay for it.

    python client.py < plan.json > result.json

The plan: `url`, `path`, `model`, `clients`, `seconds`, `most_seconds` and `requests` as workload.Request. Each client holds one connection
and sends the next request of the list once its last is answered, until `seconds` have passed; what is under way then is waited for, until
`most_seconds` at the latest. The result: an entry for each request (`status`, `seconds`, `first_seconds` of a streamed one, `text`,
`finish`, `most`, `error`) and the seconds until the last was answered.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

LIMIT = 1 << 20


class Connection:
    """One keep-alive connection to a server."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, AsyncIterator[bytes]]:
        """Status, and the body in pieces as they come."""
        for attempt in (0, 1):
            old = self._streams is not None
            try:
                return await self._sent(path, body)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()  # an idle connection may have been closed by the server; a new one has not
                if attempt or not old:
                    raise
        raise AssertionError

    async def _sent(self, path: str, body: bytes) -> tuple[int, AsyncIterator[bytes]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port, limit=LIMIT)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        told = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in told[1:])}
        return int(told[0].split()[1]), _pieces(reader, headers)

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _pieces(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    if headers.get("transfer-encoding") != "chunked":
        yield await reader.readexactly(int(headers.get("content-length", "0")))
        return
    while size := int(await reader.readline(), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readline()


async def asked(connection: Connection, plan: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """One request, answered or failed."""
    stream, most = request["stream"], request["most"]
    sent = {"temperature": 0} | {name: value for name, value in request.items() if name not in ("most", "stream")}
    body = json.dumps({"model": plan["model"], "max_tokens": most, "stream": stream} | sent).encode()
    found: dict[str, Any] = {"status": 0, "most": most, "streamed": stream, "text": "", "finish": None}
    began = time.perf_counter()
    try:
        found["status"], pieces = await connection.post(plan["path"], body)
        whole = b""
        async for piece in pieces:
            if not whole:
                found["first_seconds"] = time.perf_counter() - began
            whole += piece
        found["seconds"] = time.perf_counter() - began
        if found["status"] == 200:
            _read(found, whole, stream)
        else:
            found["error"] = whole[:300].decode("utf-8", "replace")
    except (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError) as error:
        found["error"] = f"{type(error).__name__}: {error}"[:300]
        connection.close()
    except asyncio.CancelledError:
        found["error"] = "not answered when the time was up"
        connection.close()
    return found


def _read(found: dict[str, Any], whole: bytes, stream: bool) -> None:
    """Text and end of an answer, of a completion or of a chat. LookupError, ValueError where it is none."""
    parts = [part[6:] for part in whole.decode().split("\n\n") if part.startswith("data: ")] if stream else [whole.decode()]
    for part in parts:
        if part == "[DONE]":
            continue
        told = json.loads(part)
        if "error" in told:
            raise ValueError(str(told["error"]))
        for choice in told["choices"]:
            said = choice.get("delta") or choice.get("message") or choice
            found["text"] += said.get("text") or said.get("content") or ""
            found["finish"] = choice.get("finish_reason") or found["finish"]


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """All clients, side by side."""
    where = urlsplit(plan["url"])
    assert where.hostname and where.port
    coming: Iterator[tuple[int, dict[str, Any]]] = iter(enumerate(plan["requests"]))
    found: dict[int, dict[str, Any]] = {}
    began = time.perf_counter()

    async def client() -> None:
        connection = Connection(where.hostname or "", where.port or 0)
        while time.perf_counter() - began < plan["seconds"] and (one := next(coming, None)) is not None:
            found[one[0]] = await asked(connection, plan, one[1])
            found[one[0]]["ended"] = time.perf_counter() - began
        connection.close()

    clients = [asyncio.create_task(client()) for _ in range(plan["clients"])]
    _, late = await asyncio.wait(clients, timeout=plan["most_seconds"])
    for one in late:
        one.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    entries = [found[index] | {"index": index} for index in sorted(found)]
    return {"seconds": max((one["ended"] for one in entries), default=0.0), "answers": entries, "unused": next(coming, None) is not None}


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
