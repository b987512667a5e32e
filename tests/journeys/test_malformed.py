"""Requests that no client should send, some hundred of them; benchmarks/fuzz_gateway.py sends ten thousand."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

ROOT = Path(__file__).parents[2]


def module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made
    spec.loader.exec_module(made)
    return made


fuzz = module(ROOT / "benchmarks" / "fuzz_gateway.py")
gateways = module(Path(__file__).with_name("gateways.py"))


def test_four_hundred_malformed_requests_get_no_5xx_and_leave_nothing_in_any_log(tmp_path: Path) -> None:
    with gateways.Spawner() as spawner:
        secret = gateways.key(tmp_path / "work", "fuzz", ["admin"])
        server = spawner.start(tmp_path / "work", receive_seconds=0.5, log=tmp_path / "log.jsonl")
        result = asyncio.run(fuzz.attacked(server.url, secret, 400, 7, at_once=24, seconds=60))
        assert result["faults"] == [], result["faults"][:3]
        assert {int(key.rsplit(" ", 1)[1]) for key in result["outcomes"] if not key.endswith("closed")} >= {200, 400, 401, 404, 405}
        client = server.client(secret)
        assert client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "still here"}]).choices[0].message.content
        server.stop()
        assert server.stderr() == ""
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(lines) > 250 and not [line for line in lines if "bug" in line]
    assert fuzz.leaks(tmp_path, [secret]) == []


def test_the_attack_would_notice() -> None:
    json_error = b'HTTP/1.1 400 Bad Request\r\n\r\n{"error": {"message": "", "type": "", "param": null, "code": null}}'
    one = fuzz.Made("json", b"")
    assert fuzz.fault(one, json_error) is None and fuzz.fault(one, b"") is None
    for said in (
        b"HTTP/1.1 500 X\r\n\r\n{}",
        json_error + b"HTTP/1.1 503 X\r\n\r\n",
        b"nonsense",
        b"HTTP/1.1 400 X\r\n\r\nInvalid",
        b'HTTP/1.1 400 X\r\n\r\n{"error": {}}',
    ):
        assert fuzz.fault(one, said) is not None


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with gateways.app(tmp_path_factory.mktemp("malformed")) as serving:
        yield TestClient(serving.app, base_url="http://localhost", raise_server_exceptions=False)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec=None), max_size=4), inner, max_size=3),
    max_leaves=6,
)
fields = sorted(
    {name for body in fuzz._BODIES.values() for name in body} | {"schema", "json_schema", "response_format", "thumbs", "choice"}
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(sorted(fuzz._BODIES)), extra=st.dictionaries(st.sampled_from(fields), anything, max_size=2), bare=st.booleans())
def test_any_json_gets_an_answer_below_500(client: TestClient, path: str, extra: dict[str, Any], bare: bool) -> None:
    body = extra if bare else fuzz._BODIES[path] | extra
    said = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert said.status_code < 500
    assert said.status_code == 200 or set(said.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"[" * 200_000, 400, "invalid_json"),
        (b'{"a":' * 100_000, 400, "invalid_json"),
        (b'{"model": "echo", "seed": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
        (b'{"model": NaN}', 400, "invalid_json"),
        (b'{"model": "echo", "temperature": Infinity}', 400, "invalid_json"),
        ('{"model": "echo"'.encode("utf-16"), 400, "invalid_json"),
        (b"\xff\xfe\xfd", 400, "invalid_json"),
        (b'{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}', 404, "model_not_found"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "\\ud800": 1}', 400, "unknown_parameter"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "half \\ud83d"}], "max_tokens": 2.0, "stop": null}', 200, None),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "max_tokens": 2.5}', 400, "invalid_value"),
    ],
)
def test_json_that_is_none_or_odd(client: TestClient, content: bytes, status: int, code: str | None) -> None:
    said = client.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})
    assert said.status_code == status, said.text
    assert status == 200 or said.json()["error"]["code"] == code


def test_the_openapi_document_tells_errors_keys_and_what_a_field_may_be(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    for path, methods in told["paths"].items():
        for operation in methods.values():
            assert "422" not in operation["responses"] and {"400", "401", "403", "404", "413", "429", "500", "503"} <= set(
                operation["responses"]
            )
            assert operation["responses"]["400"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
            assert ("security" in operation) == (path.startswith("/v1/") or path == "/metrics")
    schemas = told["components"]["schemas"]
    assert {one["type"] for one in schemas["EmbeddingRequest"]["properties"]["input"]["anyOf"]} == {"string", "array"}
    assert [one["required"] for one in schemas["Preferred"]["oneOf"]] == [["completion_id"], ["text"]]


def test_a_wrong_method_is_told_which_ones_there_are(client: TestClient) -> None:
    said = client.request("DELETE", "/v1/feedback")
    assert said.status_code == 405 and said.headers["allow"] == "GET, POST"
