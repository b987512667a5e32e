"""A small real HTTP server in a thread, scripted by the test: what it answers, in what order, and what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Reply:
    """What the server sends back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Close the connection instead of answering."""


def chat(text: str, **more: Any) -> Reply:
    """A whole chat completion."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": more.pop("finish", "stop")}
    return Reply(body=json.dumps({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 3}, **more}).encode())


@dataclass
class Server:
    """Its address, what it was asked, and how it answers."""

    url: str = ""
    answer: Callable[[dict[str, Any]], Reply] = lambda body: chat(body["messages"][-1]["content"].upper())
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def server() -> Iterator[Server]:
    """By default it answers the last message in capitals."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with state.lock:
                state.asked.append({**body, "path": self.path})
                state.headers.append({name.lower(): value for name, value in self.headers.items()})
            reply = state.answer(body)
            if reply.cut:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is part of these tests; a traceback written by a thread would trip pytest's own."""

    http = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    yield state
    http.shutdown()
    http.server_close()


@pytest.fixture
def reply() -> type[Reply]:
    """The maker of raw replies."""
    return Reply


@pytest.fixture
def chat_reply() -> Callable[..., Reply]:
    """The maker of whole chat completions."""
    return chat
