"""Fixtures every floor's tests may use: real data where it lies beside the checkout, and a base small enough for seconds."""

import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import URL, make_url

ROOT = Path(__file__).parent.parent

# The same examples on every run, so that a change is judged by what it changed. HYPOTHESIS_PROFILE=searching draws new
# ones, ten times as many: run it by hand, and keep what it finds as an @example.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("searching", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data sets laid beside the checkout; tests that need them skip where they are absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the public data sets in {folder.name}/ beside the checkout")
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of 2 layers and width 32 with the embedded tokenizer, as a folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tunesmith.embedded import base_path

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base") / "tiny"
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base_path() / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def colour_rows() -> list[dict[str, str]]:
    """240 rows of three classes that a tiny model can learn: the colour named in a sentence."""
    things = [
        "car",
        "house",
        "boat",
        "shirt",
        "door",
        "cup",
        "chair",
        "hat",
        "lamp",
        "book",
        "bag",
        "coat",
        "fence",
        "wall",
        "bike",
        "plate",
    ]
    openings = ["I want a", "Please send the", "We sold one", "She painted her", "They lost my"]
    colours = ["red", "green", "blue"]
    return [{"text": f"{opening} {colour} {thing}", "label": colour} for thing in things for opening in openings for colour in colours]


@pytest.fixture(scope="session")
def colour_file(tmp_path_factory: pytest.TempPathFactory, colour_rows: list[dict[str, str]]) -> Path:
    """The colour rows as JSONL."""
    path = tmp_path_factory.mktemp("rows") / "colours.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in colour_rows))
    return path


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts the real command in processes of their own: `.start("run", ...)`; see nursery.py."""
    spec = importlib.util.spec_from_file_location("nursery", Path(__file__).with_name("nursery.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A PostgreSQL server: the one TUNESMITH_TEST_POSTGRES names (an SQLAlchemy URL whose user may create schemas), else one started for
    the occasion from the installed binaries; else tests that ask for it skip.
    """
    pytest.importorskip("psycopg", reason="the PostgreSQL driver psycopg is not installed")
    named = os.environ.get("TUNESMITH_TEST_POSTGRES")
    folder = binaries()
    if named:
        yield make_url(named).set(drivername="postgresql+psycopg")
    elif folder is None:
        pytest.skip("no PostgreSQL: set TUNESMITH_TEST_POSTGRES to a server's URL, or install postgresql")
    elif os.geteuid() == 0:  # the server refuses root, and its user can't enter root's temporary folders
        names = {entry.pw_name for entry in pwd.getpwall()}
        place = Path(tempfile.mkdtemp(prefix="tunesmith-pg-"))
        try:
            yield from cluster(folder, place, "postgres" if "postgres" in names else "nobody")
        finally:
            shutil.rmtree(place)
    else:
        yield from cluster(folder, tmp_path_factory.mktemp("pg"), None)


def binaries() -> Path | None:
    """The newest installed server's folder."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


def cluster(folder: Path, place: Path, user: str | None) -> Iterator[URL]:
    """A throw-away server on a Unix socket, stopped at the end."""
    who: dict[str, Any] = {"cwd": place}
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(place, entry.pw_uid, entry.pw_gid)
        who |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    data, log = place / "data", place / "log"
    subprocess.run(
        [folder / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N"], check=True, capture_output=True, timeout=300, **who
    )
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={place}", "-c", "fsync=off"]
    with log.open("w") as output:
        process = subprocess.Popen([folder / "postgres", "-D", data, *options], stdout=output, stderr=output, **who)
    try:
        deadline = time.monotonic() + 120
        while subprocess.run([folder / "pg_isready", "-q", "-h", place], check=False).returncode:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield URL.create("postgresql+psycopg", username="tester", database="postgres", query={"host": str(place)})
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown: clients still connected are cut off
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
