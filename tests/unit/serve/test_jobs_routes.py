"""`/v1/files` and `/v1/fine_tuning/jobs` without a worker: who may ask for what, and what is said when it can't be."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tunesmith.core.errors import BusyError, MachineError
from tunesmith.ledger.ledger import Ledger
from tunesmith.pipeline.tuning import ROOM, available_bytes, refuse_without_room, tuning_of
from tunesmith.pipeline.workspace import Workspace
from tunesmith.serve.app import FORM, Gateway, make_app
from tunesmith.serve.config import ServeConfig
from tunesmith.serve.holders import Holders

ROW = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
ROWS = b"".join(json.dumps(ROW).encode() + b"\n" for _ in range(10))
JOBS = "/v1/fine_tuning/jobs"
FIELDS = ("model", "training_file", "validation_file", "suffix", "seed", "method", "hyperparameters", "metadata", "integrations")


class Site:
    """A gateway without models, and keys of two tenants."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(folder / "ledger.db")
        scopes = {"ours": ["train"], "theirs": ["admin"], "reader": ["chat"], "voice": ["feedback"]}
        made = {name: self.ledger.keys.create(name, scope, tenant="b" if name == "theirs" else "a") for name, scope in scopes.items()}
        self.secrets = {name: secret for name, (_, secret) in made.items()}
        config = ServeConfig(most_jobs=2, file_mib=1, body_kib=4)
        self.tuning = tuning_of(Workspace(folder), self.ledger, config, ["tiny"])
        gateway = Gateway({}, Holders(self.ledger.keys.holder, self.ledger.keys.any), config, tuning=self.tuning)
        self.client = TestClient(make_app(gateway), raise_server_exceptions=False)

    def ask(self, method: str, path: str, who: str = "ours", **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.secrets[who]}"} | more.pop("headers", {})
        return self.client.request(method, path, headers=headers, **more)

    def upload(self, data: bytes = ROWS) -> str:
        said = self.ask("POST", "/v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows.jsonl", data)})
        assert said.status_code == 200, said.text
        return str(said.json()["id"])

    def job(self, file: str, **more: Any) -> Any:
        headers = more.pop("headers", {})
        return self.ask("POST", JOBS, json={"model": "tiny", "training_file": file} | more, headers=headers)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.ledger.close()


def cancel_all(site: Site) -> None:
    for job in site.ledger.jobs.list("a"):
        if not job.over:
            assert site.ask("POST", f"{JOBS}/{job.id}/cancel").json()["status"] == "cancelled"


ROUTES = [
    ("POST", "/v1/files"),
    ("GET", "/v1/files"),
    ("GET", "/v1/files/file-1"),
    ("GET", "/v1/files/file-1/content"),
    ("DELETE", "/v1/files/file-1"),
    ("POST", JOBS),
    ("GET", JOBS),
    ("GET", f"{JOBS}/ftjob-1"),
    ("POST", f"{JOBS}/ftjob-1/cancel"),
    ("GET", f"{JOBS}/ftjob-1/events"),
    ("GET", f"{JOBS}/ftjob-1/checkpoints"),
    ("DELETE", "/v1/models/ft:tiny:a::1"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_keys_that_may_train_come_in(site: Site, method: str, path: str) -> None:
    assert site.client.request(method, path).status_code == 401
    assert [site.ask(method, path, who).status_code for who in ("reader", "voice")] == [403, 403]
    assert site.ask(method, path).status_code not in (401, 403) and site.ask(method, path, "theirs").status_code not in (401, 403)


def test_an_admin_of_another_tenant_finds_nothing(site: Site) -> None:
    file = site.upload()
    job = site.job(file).json()["id"]
    for method, path in [("GET", f"/v1/files/{file}"), ("GET", f"/v1/files/{file}/content"), ("DELETE", f"/v1/files/{file}"),
                         ("GET", f"{JOBS}/{job}"), ("POST", f"{JOBS}/{job}/cancel"), ("GET", f"{JOBS}/{job}/events")]:  # fmt: skip
        there, nowhere = site.ask(method, path, "theirs"), site.ask(method, path.replace(file, "file-0").replace(job, "ftjob-0"), "theirs")
        assert there.status_code == nowhere.status_code == 404 and there.json() == nowhere.json()
    assert site.ask("POST", JOBS, "theirs", json={"model": "tiny", "training_file": file}).json()["error"]["code"] == "file_not_found"
    cancel_all(site)


def test_too_many_waiting_jobs_are_told_to_come_again_and_leave_no_folder(site: Site) -> None:
    file = site.upload()
    assert [site.job(file).status_code for _ in range(2)] == [200, 200]
    before = set(site.tuning.folder.iterdir())
    refused = site.job(file)
    assert refused.status_code == 429 and refused.headers["retry-after"] and refused.json()["error"]["type"] == "rate_limit_error"
    assert set(site.tuning.folder.iterdir()) == before and len(before) == 2
    cancel_all(site)
    assert not list(site.tuning.folder.iterdir())


def test_a_job_keeps_its_bytes_when_the_file_is_deleted(site: Site) -> None:
    file = site.upload()
    job = site.job(file).json()["id"]
    assert site.ask("DELETE", f"/v1/files/{file}").json() == {"id": file, "object": "file", "deleted": True}
    assert (site.tuning.folder / job / "files" / file).read_bytes() == ROWS
    assert site.job(file).json()["error"]["param"] == "training_file"
    cancel_all(site)


def test_a_large_file_is_refused_by_what_it_says_and_by_what_it_is(site: Site) -> None:
    large = b"x" * (2**20 + FORM + 1)
    told = site.ask("POST", "/v1/files", data={"purpose": "fine-tune"}, files={"file": ("rows", large)})
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    pieces = (part for part in [form, *[b"y" * 65_536] * 20])
    untold = site.ask("POST", "/v1/files", content=pieces, headers={"content-type": "multipart/form-data; boundary=x"})
    assert (told.status_code, untold.status_code) == (413, 413)
    assert not [path for path in site.tuning.store.folder.iterdir() if path.suffix == ".part"]
    assert site.ask("POST", JOBS, content=b"z" * 5000).status_code == 413


def test_a_model_that_a_job_starts_from_is_not_deleted(site: Site) -> None:
    parent = site.job(site.upload()).json()["id"]
    held = site.ledger.jobs.claim("w", 60, ["tiny"])
    assert held is not None and held.id == parent
    name = "ft:tiny:a::1"
    assert site.ledger.jobs.succeed(held, fine_tuned_model=name, round_id="r-1")
    file = site.upload()
    assert site.job(file, model=name).json()["error"]["code"] == "model_not_tunable", "an adapter has no config of its own"
    model = site.tuning.folder / parent / "rounds" / "r-1" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    child = site.job(file, model=name).json()
    assert child["status"] == "queued" and child["model"] == name
    assert (site.ledger.jobs.find("a", child["id"]) or held).base == "tiny"
    refused = site.ask("DELETE", f"/v1/models/{name}")
    assert refused.status_code == 409 and child["id"] in refused.json()["error"]["message"]
    cancel_all(site)
    assert site.ask("DELETE", f"/v1/models/{name}").json()["deleted"] and not (site.tuning.folder / parent).exists()


def test_a_ledger_that_is_locked_is_told_as_503_without_its_path(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise BusyError("The ledger /srv/secret.db was locked")

    file = site.upload()
    monkeypatch.setattr(site.ledger.jobs, "create", locked)
    monkeypatch.setattr(site.ledger.files, "keep", locked)
    refused = [site.job(file), site.ask("POST", "/v1/files", data={"purpose": "fine-tune"}, files={"file": ("r", ROWS)})]
    for one in refused:
        assert one.status_code == 503 and one.headers["retry-after"] and "/srv" not in one.text
    assert not list(site.tuning.folder.iterdir())


def test_where_many_wait_for_the_ledger_these_routes_refuse_and_the_others_go_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.tuning.aside, "_waiting", 10_000)
    for method, path in ROUTES[1:]:
        told = site.ask(method, path, json={"model": "tiny", "training_file": "file-1"} if (method, path) == ("POST", JOBS) else None)
        assert told.status_code == 503 and told.headers["retry-after"] and told.json()["error"]["code"] == "ledger_unavailable", path
    assert site.ask("GET", "/v1/models", "reader").status_code == 200


def test_a_file_deleted_while_it_is_sent_arrives_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    file, look = site.upload(), os.fstat

    def late(handle: int) -> os.stat_result:
        (site.tuning.store.folder / file).unlink(missing_ok=True)
        return look(handle)

    monkeypatch.setattr("tunesmith.serve.files_routes.os.fstat", late)
    said = site.ask("GET", f"/v1/files/{file}/content")
    assert said.status_code == 200 and said.content == ROWS and said.headers["content-length"] == str(len(ROWS))
    assert site.ask("GET", f"/v1/files/{file}/content").status_code == 404


@pytest.mark.parametrize(("path", "rest"), [("chat/completions", {"messages": []}), ("completions", {"prompt": "a"}),
                                            ("classify", {"input": "a"}), ("embeddings", {"input": "a"})])  # fmt: skip
def test_a_models_name_has_a_bound(site: Site, path: str, rest: dict[str, Any]) -> None:
    told = site.ask("POST", f"/v1/{path}", "reader", json={"model": "ft:" + "x" * 300} | rest)
    assert told.status_code == 400 and told.json()["error"]["param"] == "model"


def test_a_request_that_is_sent_again_is_known_and_another_under_its_key_is_refused(site: Site) -> None:
    file, headers = site.upload(), {"Idempotency-Key": "one"}
    first, again = site.job(file, headers=headers), site.job(file, headers=headers)
    assert first.status_code == again.status_code == 200 and first.json() == again.json()
    for other in (
        {"suffix": "b"},
        {"seed": 5},
        {"metadata": {"a": "b"}},
        {"hyperparameters": {"n_epochs": 2}},
        {"training_file": site.upload()},
    ):
        told = site.job(file, headers=headers, **other)
        assert told.status_code == 400 and told.json()["error"]["code"] == "idempotency_key_reused"
    assert [path.name for path in site.tuning.folder.iterdir()] == [first.json()["id"]]
    cancel_all(site)


def test_models_that_are_served_are_told_while_the_ledger_is_locked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise BusyError("The ledger /srv/secret.db was locked")

    monkeypatch.setattr(site.ledger.jobs, "models", locked)
    said = site.ask("GET", "/v1/models", "reader")
    assert said.status_code == 200 and said.json() == {"object": "list", "data": []}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["auto", "dpo", "supervised", "tiny"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["type", "n_epochs", "beta", *FIELDS]), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    body=st.dictionaries(st.sampled_from(FIELDS), anything) | anything,
    query=st.dictionaries(st.sampled_from(["after", "limit"]), st.text()),
)
def test_whatever_is_sent_is_answered_or_refused_in_openais_form(site: Site, body: Any, query: dict[str, str]) -> None:
    header = {"content-type": "application/json"}
    sent = [site.ask("POST", JOBS, content=json.dumps(body), headers=header), site.ask("POST", "/v1/files", content=json.dumps(body))]
    for answer in (*sent, site.ask("GET", JOBS, params=query), site.ask("GET", "/v1/files", params=query)):
        assert answer.status_code < 500 and (
            answer.status_code == 200 or set(answer.json()["error"]) == {"message", "type", "param", "code"}
        )


def test_a_model_larger_than_what_is_free_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"0" * 2**20)
    refuse_without_room(tmp_path, int(ROOM * 2**20) + 1)
    refuse_without_room(tmp_path, None)
    with pytest.raises(MachineError, match="1 MiB, and 0 MiB are free"):
        refuse_without_room(tmp_path, 1000)
    free = available_bytes()
    assert free is None or free > 2**20
