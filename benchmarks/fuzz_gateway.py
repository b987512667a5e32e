"""Send a gateway what no client should: every one gets an answer below 500 or a closed connection, and nothing of it lands in a log.

    .venv/bin/python benchmarks/fuzz_gateway.py --requests 10000 --seed 0 --out benchmarks/results/DATE-fuzz-gateway.json

Bytes over real sockets to the real server: random bytes, requests with hostile values in every place of a body, broken chunks, lengths,
headers and encodings, pipelines, half-closed and silent connections, path traversal. Secrets and personal data are planted in all of
them; afterwards every log, stderr and the ledger are searched for those. `--model FOLDER` serves a real model instead of the quick ones,
and may be given twice: requests ask for one called `echo` and for one called `labels`, so folders of these names are reached;
`--schemathesis PROGRAM` also runs schemathesis over the server's own OpenAPI (an environment of its own, e.g. in `.bench/`).
"""

import argparse
import asyncio
import copy
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SERVER = Path(__file__).parents[1] / "tests" / "journeys" / "hostile.py"
PLANTED = ("planted.person@secret.example", "ts-0badc0de-PLANTEDSECRET", "+49 30 5550199", "4111 1111 1111 1111", "hunter2hunter2")
_HOSTILE: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, -(2**63) - 1, 2**63, 1e308, "", " ", "\0", "\ud800", "\udfff\ud800", "\u202e", "a\u0300" * 50, "x" * 20_000, "9" * 400,
    [], {}, [[]], [None], [{}], {"": ""}, {"\0": "\ud800"}, {"__proto__": {}}, ["x"] * 2000, {"$ref": "#"}, {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "../../../../etc/passwd", "%00", "' OR 1=1 --", "{{7*7}}", "${jndi:ldap://x}", "<script>alert(1)</script>", "\r\nSet-Cookie: a=b", "NaN", *PLANTED,
]  # fmt: skip
_RAW = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e99999",
    "9" * 5000,
    "[" * 3000 + "]" * 3000,
    '{"a":' * 500 + "1" + "}" * 500,
    '"\\ud800"',
    '"\\u0000"',
    "tru",
    "'x'",
    "",
    "-",
    "0x10",
    "01",
]
_CHAT: dict[str, Any] = {
    "model": "echo", "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": [{"type": "text", "text": PLANTED[0]}]}],
    "max_tokens": 3, "temperature": 0.5, "top_p": 0.9, "n": 2, "seed": 1, "stop": ["x"], "stream": False, "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}, "strict": True}},
    "logprobs": True, "top_logprobs": 1, "user": PLANTED[0], "metadata": {"a": PLANTED[1]}, "presence_penalty": 0.0,
}  # fmt: skip
_BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": _CHAT,
    "/v1/completions": {
        "model": "echo",
        "prompt": ["one " + PLANTED[0], "two"],
        "max_tokens": 2,
        "logprobs": 1,
        "stop": "x",
        "stream": False,
    },
    "/v1/classify": {"model": "labels", "input": ["a", PLANTED[2]], "top": 1},
    "/v1/embeddings": {"model": "echo", "input": ["a", PLANTED[3]], "encoding_format": "base64"},
    "/v1/feedback": {"completion_id": "chatcmpl-x", "choice": 0, "preferred": {"text": PLANTED[0]}},
}
_TYPES = ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json; charset=utf-16",
          "application/json;charset=\xff", "", "application/" + "j" * 5000, "application/json, text/html", "image/png"]  # fmt: skip
_PATHS = ["/..", "/../../etc/passwd", "/v1/models/..%2f..%2fetc%2fpasswd", "/v1/models/%00", "/v1/models/" + "a" * 8000, "//v1//models", "/v1/models;x=y", "/%c0%ae%c0%ae/",
          "/v1/feedback?limit=x", "/v1/feedback?limit=99999999999999999999", "/v1/feedback?after=%00", "/v1/feedback?after=" + "%ff" * 60, "/v1/feedback?limit=1&limit=2",
          "*", "http://evil.example/v1/models", "http://evil.example:99999/x", "https://u:p@x/v1/models", "evil.example:443", "/v1/models?" + "a=b&" * 2000, "/" + "%zz" * 20,
          "/v1/models/\\..\\x", "/openapi.json/../x", "/health/", "/v1/feedback/", "/?\r\nX: y"]  # fmt: skip


class Made:
    """One thing to send: pieces, and what becomes of the connection."""

    def __init__(self, kind: str, *pieces: bytes, half_close: bool = False, silent: bool = False) -> None:
        self.kind, self.pieces, self.half_close, self.silent = kind, pieces, half_close, silent


def made(draw: random.Random, secret: str) -> Made:
    """The next of a stream that the seed alone decides."""
    kind = draw.choice(list(_KINDS))
    return _KINDS[kind](draw, secret)


def _head(
    draw: random.Random, secret: str, path: str, length: int | None, content_type: str = "application/json", method: str = "POST"
) -> bytes:
    key = draw.choice([secret, secret, secret, PLANTED[1], ""])
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {key}",
        f"Content-Type: {content_type}",
        f"X-Planted: {PLANTED[4]}",
    ]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").encode("latin-1", "replace")


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, one in inner for place in _places(one, (*at, name)))]


def _mutated(draw: random.Random, body: dict[str, Any]) -> Any:
    changed: Any = json.loads(json.dumps(body))
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        place = draw.choice(_places(changed))
        hostile = copy.deepcopy(draw.choice(_HOSTILE))
        if not place:
            changed = hostile if draw.random() < 0.2 else changed
            continue
        target = changed
        for name in place[:-1]:
            target = target[name]
        match draw.randrange(4):
            case 0 if isinstance(target, dict):
                del target[place[-1]]
            case 1 if isinstance(target, dict):
                target[draw.choice(["extra", "", "\ud800", "a.b", PLANTED[0], "model"])] = hostile
            case _:
                target[place[-1]] = hostile
        if not isinstance(changed, dict):
            break
    return changed


def _json(draw: random.Random, secret: str) -> Made:
    path, body = draw.choice(list(_BODIES.items()))
    content = json.dumps(_mutated(draw, body), ensure_ascii=True).encode()
    return Made("json", _head(draw, secret, path, len(content)), content)


def _no_json(draw: random.Random, secret: str) -> Made:
    path, body = draw.choice(list(_BODIES.items()))
    text = json.dumps(body)
    spot = draw.randrange(len(text))
    text = draw.choice([text[:spot] + draw.choice(_RAW) + text[spot:], text[:spot], text[:spot] + text[spot + 1 :], draw.choice(_RAW)])
    content = text.encode()
    return Made("no-json", _head(draw, secret, path, len(content)), content)


def _encoded(draw: random.Random, secret: str) -> Made:
    path, body = draw.choice(list(_BODIES.items()))
    content = json.dumps(body).encode(draw.choice(["utf-16", "utf-32", "utf-16-be", "utf-8-sig", "cp037"]))
    extra = draw.choice([b"", b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n"])
    head = _head(draw, secret, path, len(content)).replace(b"Connection", extra + b"Connection")
    return Made("encoding", head, content if draw.random() < 0.7 else draw.randbytes(len(content)))


def _typed(draw: random.Random, secret: str) -> Made:
    path, body = draw.choice(list(_BODIES.items()))
    content = draw.choice(
        [
            json.dumps(body).encode(),
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../x"\r\n\r\n' + draw.randbytes(200) + b"\r\n--x--",
            b"a=b&c=d",
        ]
    )
    return Made("content-type", _head(draw, secret, path, len(content), draw.choice(_TYPES)), content)


def _chunked(draw: random.Random, secret: str) -> Made:
    path, body = draw.choice(list(_BODIES.items()))
    content = json.dumps(body).encode()
    head = _head(draw, secret, path, None).replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection")
    spot = draw.randrange(1, len(content))
    whole = [b"%x\r\n%s\r\n" % (len(part), part) for part in (content[:spot], content[spot:])]
    broken = draw.choice(
        [
            b"0\r\n\r\n",
            b"zz\r\n",
            b"-1\r\n\r\n",
            b"f" * 20 + b"\r\n",
            b"0;" + b"e" * 3000 + b"\r\n\r\n",
            b"0\r\nX: y\r\n\r\n",
            b"",
            b"5\r\nab\r\n",
            draw.randbytes(20),
        ]
    )
    return Made("chunks", head, *whole, broken, half_close=broken == b"" and draw.random() < 0.5)


def _headers(draw: random.Random, secret: str) -> Made:
    content = b"{}"
    junk = draw.choice([
        b"Content-Length: 5\r\n", b"Content-Length: -5\r\n", b"Content-Length: " + b"9" * 30 + b"\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n",
        b"X: " + b"y" * 70_000 + b"\r\n", b"X: a\r\n b\r\n",
            b"X\0: y\r\n", b": y\r\n", b"no colon\r\n", b"X: \xff\xfe\r\n", b"Host: [\r\n", b"Host: a b\r\n", b"A: b\r\n" * 3000,
        b"Authorization: Basic " + PLANTED[1].encode() + b"\r\n", b"Authorization: Bearer \xff\r\n", b"Expect: 100-continue\r\n", b"Expect: 999\r\n", b"X-Forwarded-For: evil\r\n",
        b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nConnection: upgrade\r\n", b"Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
            b"Cookie: " + b"a" * 9000 + b"\r\n",
        b"Range: bytes=0-\r\n", b"Origin: null\r\n", b"Content-Length:\r\n", b"Content-Length : 2\r\n", b"Content-Length: +2\r\n",
    ])  # fmt: skip
    head = _head(draw, secret, draw.choice(list(_BODIES)), len(content))
    return Made("headers", head.replace(b"Connection", junk + b"Connection"), content)


def _line(draw: random.Random, secret: str) -> Made:
    version = draw.choice([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b"", b"ICAP/1.0"])
    method = draw.choice(
        [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"PUT", b"DELETE", b"PATCH", b"get", b"\xff", b"G" * 3000, b"PRI", b""]
    )
    path = draw.choice([*_PATHS, "/v1/models", "/openapi.json", "/v1/feedback"]).encode("latin-1")
    rest = b"\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + secret.encode() + b"\r\nConnection: close\r\n\r\n"
    return Made("line", method + b" " + path + b" " + version + rest)


def _bytes(draw: random.Random, secret: str) -> Made:
    start = draw.choice([b"", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\r\n" * 30, b"SSH-2.0-x\r\n"])
    return Made(
        "bytes", start + draw.randbytes(draw.choice([0, 1, 30, 3000])) + draw.choice([b"", b"\r\n\r\n"]), half_close=draw.random() < 0.5
    )


def _flipped(draw: random.Random, secret: str) -> Made:
    path, body = draw.choice(list(_BODIES.items()))
    content = json.dumps(body).encode()
    whole = bytearray(_head(draw, secret, path, len(content)) + content)
    for _ in range(draw.randrange(1, 6)):
        whole[draw.randrange(len(whole))] = draw.randrange(256)
    return Made("flips", bytes(whole))


def _pipelined(draw: random.Random, secret: str) -> Made:
    one = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + secret.encode() + b"\r\n\r\n"
    return Made(
        "pipeline",
        one * draw.randrange(2, 20) + draw.choice([b"", draw.randbytes(50)]) + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    )


def _silent(draw: random.Random, secret: str) -> Made:
    whole = _head(draw, secret, "/v1/chat/completions", 500) + b'{"model": "' + PLANTED[0].encode()
    return Made("silent", whole[: draw.randrange(len(whole))], silent=True, half_close=draw.random() < 0.3)


_KINDS: dict[str, Callable[[random.Random, str], Made]] = {
    "json": _json, "json 2": _json, "json 3": _json, "json 4": _json, "no-json": _no_json, "encoding": _encoded, "content-type": _typed, "chunks": _chunked,
    "headers": _headers, "line": _line, "bytes": _bytes, "flips": _flipped, "pipeline": _pipelined, "silent": _silent,
}  # fmt: skip


async def answers(host: str, port: int, one: Made, seconds: float) -> bytes:
    """All that comes back until the server closes; TimeoutError where it never does."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(host, port)
        said = b""
        try:
            for piece in one.pieces:
                writer.write(piece)
                await writer.drain()
            if one.half_close:
                writer.write_eof()
            while more := await reader.read(65536):
                said += more
        except (ConnectionError, BrokenPipeError):
            pass
        finally:
            writer.transport.abort()
        return said


def statuses(said: bytes) -> list[int]:
    """Of all answers of a connection."""
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]


def fault(one: Made, said: bytes) -> str | None:
    """What is wrong about an answer."""
    codes = statuses(said)
    if any(code >= 500 for code in codes):
        return f"status {max(codes)}"
    if said and not codes:
        return "no HTTP"
    body = said.rpartition(b"\r\n\r\n")[2]
    if codes and codes[-1] >= 400 and body:
        try:
            error = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            return f"an error ({codes[-1]}) that is not in OpenAI's form"
        if set(error) != {"message", "type", "param", "code"}:
            return "an error without its fields"
    return None


async def attacked(url: str, secret: str, count: int, seed: int, *, at_once: int = 32, seconds: float = 60) -> dict[str, Any]:
    """Send so many; what came of them."""
    host, port = url.removeprefix("http://").partition("/")[0].rsplit(":", 1)
    draw, told, wrongs = random.Random(seed), Counter[str](), Counter[str]()
    stream = ((number, made(draw, secret)) for number in range(count))
    faults: list[dict[str, Any]] = []

    async def worker() -> None:
        for number, one in stream:
            try:
                said = await answers(host, int(port), one, seconds)
                wrong = fault(one, said)
            except TimeoutError:
                said, wrong = b"", "hangs"
            for code in statuses(said) or ["closed"]:
                told[f"{one.kind} {code}"] += 1
            if wrong is None:
                continue
            wrongs[wrong] += 1
            if wrongs[wrong] <= 10:
                sent = ascii(b"".join(one.pieces)[:1500])
                faults.append({"number": number, "kind": one.kind, "wrong": wrong, "sent": sent, "said": ascii(said[:600])})

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return {"requests": count, "seed": seed, "outcomes": dict(sorted(told.items())), "wrong": dict(wrongs), "faults": faults}


def leaks(folder: Path, secrets: list[str]) -> list[str]:
    """Where a planted text or a key stands in what the server wrote."""
    texts = [*PLANTED, *secrets, *(secret[12:40] for secret in secrets)]
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        found += [f"{text} in {file.name}" for text in texts if text.encode() in content]
    return found


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 2**20


def _started(folder: Path, models: list[str] | None) -> tuple["subprocess.Popen[str]", int, str]:
    """A server: the quick one of the tests, or a real one."""
    errors = folder / "stderr.txt"
    if models is not None:
        call = [
            sys.executable,
            "-m",
            "tunesmith",
            "serve",
            *models,
            "--port",
            "0",
            "--workspace",
            str(folder / "work"),
            "--json",
            "--quiet",
            "--receive-seconds",
            "2",
        ]
        process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=errors.open("w"), text=True)
        assert process.stdout is not None
        return process, process.pid, json.loads(process.stdout.readline())["url"]
    process = subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()
    order = {
        "workspace": str(folder / "work"),
        "settings": {"receive_seconds": 2.0},
        "stderr": str(errors),
        "log": str(folder / "log.jsonl"),
        "seconds": 1700,
    }
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    found = json.loads(process.stdout.readline())
    return process, found["pid"], found["url"]


def _schemathesis(program: str, url: str, secret: str, examples: int) -> dict[str, Any]:
    """Its own verdict on the app's OpenAPI."""
    call = [str(Path(program).absolute()), "run", f"{url.removesuffix('/v1')}/openapi.json", "-H", f"Authorization: Bearer {secret}", "--max-examples", str(examples),
            "--seed", "1", "--workers", "1", "--no-color", "--exclude-checks", "unsupported_method"]  # fmt: skip
    ran = subprocess.run(call, capture_output=True, text=True, timeout=1200, check=False, cwd=tempfile.gettempdir())
    return {"code": ran.returncode, "said": ran.stdout[-6000:]}


def main() -> None:
    """Attack, and say what came of it; exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", action="append")
    parser.add_argument("--schemathesis")
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    from tunesmith.ledger.ledger import Ledger

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "work").mkdir()
        with Ledger.open(folder / "work" / "tunesmith.db") as ledger:
            _, secret = ledger.keys.create("fuzz", ["admin"])
        process, pid, url = _started(folder, asked.model)
        try:
            begun, before = time.monotonic(), _rss(pid)
            result = asyncio.run(attacked(url, secret, asked.requests, asked.seed))
            result |= {"seconds": round(time.monotonic() - begun, 1), "megabytes": [before, _rss(pid)]}
            if asked.schemathesis:
                result["schemathesis"] = _schemathesis(asked.schemathesis, url, secret, asked.examples)
            fine = Made(
                "json",
                f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\nConnection: close\r\n\r\n".encode(),
            )
            host, port = url.removeprefix("http://").partition("/")[0].rsplit(":", 1)
            result["answers_afterwards"] = statuses(asyncio.run(answers(host, int(port), fine, 30))) == [200]
        finally:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 40
            while time.monotonic() < deadline and Path(f"/proc/{pid}").exists() and process.poll() is None and asked.model is None:
                time.sleep(0.1)
                if Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z"):
                    break
            process.stdin.close() if process.stdin else None
            process.wait(timeout=60)
        lines = [json.loads(line) for file in folder.rglob("*.jsonl") for line in file.read_text().splitlines()]
        result["bugs"] = dict(Counter(line["bug"] for line in lines if "bug" in line))
        result["leaks"] = leaks(folder, [secret])
        result["stderr"] = (folder / "stderr.txt").read_text()[-2000:]
    result = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "model": "quick" if asked.model is None else "real"} | result
    print(json.dumps(result, indent=1))
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=1) + "\n")
    bad = any(result[name] for name in ("faults", "bugs", "leaks", "stderr")) or not result["answers_afterwards"]
    bad = bad or bool(result.get("schemathesis", {}).get("code"))
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
