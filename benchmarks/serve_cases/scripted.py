"""An engine with a script for a model: it takes its time and then says the same always, whole or word by word. Standard library only.

    python scripted.py PORT MILLISECONDS WORDS

`GET /health` and `/v1/models`, `POST` of chats and completions. What a gateway in front of it takes longer than asking it directly is the gateway's.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

Reply = tuple[str, bytes]


def answered(path: str, body: dict[str, Any], words: int) -> Iterator[dict[str, Any]]:
    """The answer as one object, or as those of a stream."""
    chat, stream = "chat" in path, body.get("stream")
    head = {"id": "scripted-1", "created": 1, "model": body.get("model", "scripted")}
    head["object"] = ("chat.completion.chunk" if stream else "chat.completion") if chat else "text_completion"

    def choice(text: str, finish: str | None) -> dict[str, Any]:
        turn = {"role": "assistant", "content": text}
        said = ({"delta": turn} if stream else {"message": turn}) if chat else {"text": text}
        return {"index": 0, "logprobs": None, "finish_reason": finish} | said

    usage = {"prompt_tokens": 20, "completion_tokens": words, "total_tokens": 20 + words}
    if not stream:
        yield head | {"choices": [choice("word " * words, "length")], "usage": usage}
        return
    for _ in range(words):
        yield head | {"choices": [choice("word ", None)]}
    yield head | {"choices": [choice("", "length")]}
    if (body.get("stream_options") or {}).get("include_usage"):
        yield head | {"choices": [], "usage": usage}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: float, words: int) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            told = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            verb, path, _ = told.split("\r\n")[0].split(" ")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in told.split("\r\n")[1:])}
            body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
            if verb == "GET":
                _whole(writer, {"object": "list", "data": [{"id": "scripted", "object": "model"}], "status": "ok"})
            elif body.get("stream"):
                await _streamed(writer, path, body, wait, words)
            else:
                await asyncio.sleep(wait)
                _whole(writer, next(answered(path, body, words)))
            await writer.drain()
    writer.close()


def _whole(writer: asyncio.StreamWriter, value: dict[str, Any]) -> None:
    said = json.dumps(value).encode()
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n".encode() + said)


async def _streamed(writer: asyncio.StreamWriter, path: str, body: dict[str, Any], wait: float, words: int) -> None:
    """The time is taken in equal parts, one before each word."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for one in (*answered(path, body, words), None):
        said = b"data: [DONE]\n\n" if one is None else b"data: " + json.dumps(one).encode() + b"\n\n"
        if one is not None and one["choices"] and one["choices"][0]["finish_reason"] is None:
            await asyncio.sleep(wait / words)
        writer.write(f"{len(said):x}\r\n".encode() + said + b"\r\n")
    writer.write(b"0\r\n\r\n")


async def main(port: int, milliseconds: float, words: int) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(lambda reader, writer: _serve(reader, writer, milliseconds / 1000, words), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
