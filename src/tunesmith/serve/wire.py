"""The wire: uvicorn's HTTP/1.1 held to bounds, for clients that are slow, silent, many or no clients at all.

- So many connections; the next is told 503 and closed.
- A request has to be there within `receive_seconds`, and a larger one at 10 KiB a second: slow-loris ends.
- An answer that nobody reads for `stalled_seconds` is given up.
- What is no HTTP gets 400 in OpenAI's form. Nothing of a request goes to a log, and of an exception its kind and place alone: its
  message may hold what a client sent.
"""

import asyncio
import json
import logging
import socket
import struct
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from tunesmith.serve.config import ServeConfig
from tunesmith.serve.log import place_of
from tunesmith.serve.refusals import Refusal

LEAST_RATE = 10 * 1024
"""Bytes a second that a request's body has to bring on average, beyond its first `receive_seconds`."""
CLOSING_SECONDS = 5.0
"""A connection that is being closed has so long to take its last bytes."""


def wire(config: ServeConfig) -> type[H11Protocol]:
    """The protocol for a server's settings."""

    class Bounded(Wire):
        settings = config

    return Bounded


class Wire(H11Protocol):
    """One connection."""

    settings: ServeConfig

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger, self.access_log = LOGGER, False
        self._receiving: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._begun, self._got = 0.0, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.most_connections:
            refusal = Refusal(503, "Too many connections are open: come again later.", "overloaded", headers={"Retry-After": "5"})
            self._say(refusal)
            return
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Read on; the time for a request runs from its first byte."""
        if self.transport.is_closing():
            return
        self._got += len(data)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._watch()
        self._close_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of it."""
        for timer in (self._receiving, self._ending):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    # What is received

    def _watch(self) -> None:
        """Begin to count the time where a request is on its way, and stop where it is all there."""
        if self.transport.is_closing():
            return
        state = self.conn.their_state
        partly = state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))
        if partly and self._receiving is None:
            self._expect()
        elif not partly and self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _expect(self) -> None:
        self._begun, self._got = self.loop.time(), 0
        self._receiving = self.loop.call_later(self.settings.receive_seconds, self._late)

    def _late(self) -> None:
        earned = self.settings.receive_seconds + self._got / LEAST_RATE - (self.loop.time() - self._begun)
        if earned > 0.001:
            self._receiving = self.loop.call_later(earned, self._late)
            return
        self._receiving = None
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and (self.cycle is None or not self.cycle.response_started):
            self._say(Refusal(408, f"The request was not there within {self.settings.receive_seconds:g} s.", "timeout"))
        else:
            self._drop()

    # What is sent

    def pause_writing(self) -> None:
        """The client reads slower than it is answered."""
        super().pause_writing()
        if self._ending is None:
            self._ending = self.loop.call_later(self.settings.stalled_seconds, self._drop)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._ending is not None and not self.transport.is_closing():
            self._ending.cancel()
            self._ending = None

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more came."""
        super().timeout_keep_alive_handler()
        self._close_soon()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        self._say(Refusal(400, "This is no HTTP request that can be read.", "invalid_http"))

    def _should_upgrade(self) -> bool:
        return False

    def _close_soon(self) -> None:
        """A closing connection whose last bytes nobody takes is dropped."""
        if self.transport.is_closing() and self._ending is None:
            self._ending = self.loop.call_later(CLOSING_SECONDS, self._drop)

    def _drop(self) -> None:
        """Let go at once: what was not taken is forgotten, by the system too, which else would offer it for minutes."""
        held = self.transport.get_extra_info("socket")
        if held is not None:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _say(self, refusal: Refusal) -> None:
        """An answer to what is no request, and the end."""
        body = json.dumps(refusal.body()).encode()
        told = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"} | refusal.headers
        head = f"HTTP/1.1 {refusal.status} {_PHRASES.get(refusal.status, '')}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in told.items()
        )
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(head.encode() + b"\r\n" + body)
        self.transport.close()
        self._close_soon()


_PHRASES = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


class _Shown(logging.Handler):
    """Bugs on stderr: kind and place, never a message."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR:
            return
        error = record.exc_info[1] if record.exc_info else None
        print(f"error: {place_of(error) if error is not None else record.msg}", file=sys.stderr)


LOGGER = logging.getLogger("tunesmith.wire")
LOGGER.propagate = False
LOGGER.handlers[:] = [_Shown()]
