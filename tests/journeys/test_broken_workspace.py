"""Where rounds are kept goes wrong: no room, no right to write, damage, two at once. One sentence each, and what was whole stays whole."""

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tunesmith.core.files import read_json
from tunesmith.core.hashing import digest_folder
from tunesmith.core.progress import Advanced, Ended, Started

KIB = 2**10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of its own: called with mount options, first to make it, then to change it."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root, to mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def set_to(options: str) -> Path:
        nonlocal mounted
        gc.collect()  # what a command in this process left unfreed may hold its files open
        how = ["-o", f"remount,{options}"] if mounted else ["-t", "tmpfs", "-o", options, "tmpfs"]
        done = subprocess.run(["mount", *how, place], capture_output=True, text=True, check=False)
        if done.returncode and not mounted:
            pytest.skip(f"this machine lets nobody mount a disk: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted = True
        return place

    yield set_to
    if mounted:
        subprocess.run(["umount", "--lazy", place], check=True)  # weights read from it may still be mapped


@pytest.fixture
def recipe(tmp_path: Path, colour_file: Path, tiny_base: Path, write_recipe: Any) -> Path:
    path: Path = write_recipe(tmp_path / "recipe", colour_file, tiny_base)
    return path


def _contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_disk_that_fills_up_at_every_stage(disk: Any, recipe: Path, tmp_path: Path, command: Any, assert_whole: Any) -> None:
    """The disk grows a little at a time; each try ends in one sentence, nothing half-written, and the last one finishes the round."""
    place, size, failed = disk(f"size={24 * KIB}"), 24 * KIB, list[str]()
    while True:
        before = {path: content for path, content in _contents(place).items() if path.suffix == ".jsonl" and "training" not in path.parts}
        said = command("run", recipe, "--workspace", place / "work", "--quiet")
        if said.code == 0:
            break
        assert (said.code, said.out) == (3, ""), said.err
        assert len(said.errors) == 1 and "Traceback" not in said.err, said.err
        assert "No space left" in said.errors[0] and "run" in said.errors[0]
        failed.append(said.errors[0])
        assert_whole(place)
        assert before.items() <= _contents(place).items()
        size = int(size * 1.3)
        assert size < 64 * 2**20, failed
        disk(f"size={size}")
    assert_whole(place)
    assert all(any(word in line for line in failed) for word in ("tunesmith.db", "cache/passing", "training/anchor")), failed
    (whole,) = (place / "work" / "rounds").iterdir()
    command("run", recipe, "--workspace", tmp_path / "roomy", "--quiet")
    (uninterrupted,) = (tmp_path / "roomy" / "rounds").iterdir()
    assert digest_folder(whole / "model", ("*.safetensors",)) == digest_folder(uninterrupted / "model", ("*.safetensors",))
    shown = command("show", whole.name, "--workspace", place / "work", "--json").json()
    assert shown["status"] == "done" and shown["report"]["round"]["continued"] >= 3
    assert shown["report"]["data"]["test_openings"] == 1


@pytest.mark.parametrize(
    ("kind", "work", "told"),
    [
        (Started, "train", "A checkpoint .* could not be written .*/training/.*No space left"),
        (Ended, "train", "No space left for .*/cache/train-"),
        (Started, "score zero-shot on test", "No space left for .*/baselines-unfinished/"),
        (Started, "score fine-tuned on test", "No space left for .*/predictions/tuned.jsonl:"),
    ],
)
def test_another_fills_the_disk(kind: type, work: str, told: str, disk: Any, recipe: Path, command: Any, assert_whole: Any) -> None:
    """A round that stops for want of room says for what, and goes on from there; in Python the error is of the same kind."""
    import tunesmith

    place = disk("size=24m")
    filler = place / "filler"

    def listen(event: Any) -> None:
        if isinstance(event, kind) and event.work == work and not filler.exists():
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4 * KIB))

    with pytest.raises(tunesmith.MachineError, match=told) as caught:
        tunesmith.run(tunesmith.load_recipe(recipe), workspace=place / "work", listen=listen)
    assert ".part" not in str(caught.value)
    assert_whole(place)
    filler.unlink()
    said = command("run", recipe, "--workspace", place / "work", "--json")
    assert said.code == 0, said.err
    assert said.json()["report"]["data"]["test_openings"] == 1
    assert ("train: done" in said.err) == (work == "train")
    assert_whole(place)


def test_a_folder_that_may_only_be_read(disk: Any, recipe: Path, command: Any) -> None:
    place = disk("size=8m")
    (place / "work").mkdir()
    disk("ro")
    for workspace in (place / "work", place / "new"):
        said = command("run", recipe, "--workspace", workspace)
        assert (said.code, said.out, len(said.errors)) == (3, "", 1), said.err
        assert "--workspace" in said.errors[0] or "another workspace" in said.errors[0]
    assert not _contents(place)


def test_a_finished_workspace_that_may_only_be_read(disk: Any, recipe: Path, command: Any) -> None:
    """A second look is refused in a sentence too, never with a bug."""
    place = disk("size=64m")
    assert command("run", recipe, "--workspace", place / "work", "--quiet").code == 0
    before = _contents(place)
    disk("ro")
    for arguments in (["list"], ["run", recipe], ["run", recipe, "--again"]):
        said = command(*arguments, "--workspace", place / "work")
        assert said.code == 3 and len(said.errors) == 1, said.err
    assert _contents(place) == before


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, colour_file: Path, tiny_base: Path, command: Any, write_recipe: Any) -> Path:
    """A folder with a recipe and the workspace of its finished round."""
    folder = tmp_path_factory.mktemp("finished")
    write_recipe(folder, colour_file, tiny_base)
    assert command("run", folder / "recipe.yaml", "--workspace", folder / "work", "--quiet").code == 0
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_a_damaged_ledger(copy: Path, command: Any) -> None:
    database = copy / "work" / "tunesmith.db"
    content = database.read_bytes()
    for damage in (
        b"not a database at all, but some text" * 200,
        content[:5000],
        content[:4096] + os.urandom(len(content) - 4096),
        bytes(len(content)),
    ):
        for beside in copy.glob("work/tunesmith.db-*"):
            beside.unlink()
        database.write_bytes(damage)
        for arguments in (["run", copy / "recipe.yaml"], ["list"]):
            said = command(*arguments, "--workspace", copy / "work")
            assert (said.code, said.out, len(said.errors)) == (3, "", 1), said.err
            assert "tunesmith.db" in said.errors[0]
        assert database.read_bytes() == damage


def test_an_emptied_ledger_is_a_new_one(copy: Path, command: Any, assert_whole: Any) -> None:
    (copy / "work" / "tunesmith.db").write_bytes(b"")
    said = command("run", copy / "recipe.yaml", "--workspace", copy / "work", "--quiet")
    assert said.code == 0, said.err
    assert_whole(copy / "work")


def test_a_damaged_dataset(copy: Path, command: Any, assert_whole: Any) -> None:
    (folder,) = (copy / "work" / "datasets").iterdir()
    (folder / "train.jsonl").write_bytes((folder / "train.jsonl").read_bytes()[:-30])
    said = command("run", copy / "recipe.yaml", "--workspace", copy / "work", "--again")
    assert (said.code, len(said.errors)) == (3, 1), said.err
    assert "damaged" in said.errors[0] and str(folder) in said.errors[0]
    shutil.rmtree(folder)
    said = command("run", copy / "recipe.yaml", "--workspace", copy / "work", "--quiet", "--json")
    assert said.code == 0, said.err
    assert said.json()["report"]["round"]["continued"] == 1
    assert_whole(copy / "work")


def test_damage_in_the_cache_is_made_good(copy: Path, command: Any, assert_whole: Any) -> None:
    """Outputs of stages are looked at by content before they are taken again; those of the first round stay as they were."""
    (trained,), (baselines,) = copy.glob("work/cache/train-*"), copy.glob("work/cache/baselines-*")
    shutil.rmtree(trained / "model")
    (baselines / "zero-shot.jsonl").write_text("{}")
    said = command("run", copy / "recipe.yaml", "--workspace", copy / "work", "--set", "evaluate.resamples=300", "--json")
    assert said.code == 0, said.err
    assert "train: done" in said.err and "train: taken" not in said.err
    assert_whole(copy / "work")


def _unfinished(folder: Path) -> Path:
    """Run the recipe until the third step, as a kill would leave it."""
    import tunesmith

    class Killed(BaseException):
        pass

    def listen(event: Any) -> None:
        if isinstance(event, Advanced) and event.work == "train" and event.done >= 3:
            raise Killed

    with contextlib.suppress(Killed):
        tunesmith.run(tunesmith.load_recipe(folder / "recipe.yaml"), workspace=folder / "work", listen=listen)
    (made,) = (folder / "work" / "rounds").iterdir()
    return made


@pytest.mark.parametrize("damage", ["cut", "emptied", "progress"])
def test_a_damaged_checkpoint(damage: str, recipe: Path, command: Any, assert_whole: Any) -> None:
    folder = recipe.parent
    anchor = _unfinished(folder) / "training" / "anchor"
    state, progress = anchor / "state.safetensors", anchor / "progress.json"
    if damage == "progress":
        progress.write_text("{")
    else:
        state.write_bytes(state.read_bytes()[:-100] if damage == "cut" else b"")
    said = command("run", recipe, "--workspace", folder / "work")
    assert (said.code, said.out, len(said.errors)) == (3, "", 1), said.err
    assert "anchor" in said.errors[0]
    shutil.rmtree(anchor)
    said = command("run", recipe, "--workspace", folder / "work", "--quiet", "--json")
    assert said.code == 0, said.err
    assert said.json()["report"]["round"]["continued"] == 2
    assert_whole(folder / "work")


def test_two_processes_on_one_round(recipe: Path, command: Any, assert_whole: Any) -> None:
    """The second is refused while the first works, in another process or in another thread of this one."""
    import tunesmith

    workspace = recipe.parent / "work"
    working, go_on = threading.Event(), threading.Event()
    ended: list[Any] = []

    def listen(event: Any) -> None:
        if isinstance(event, Advanced) and event.work == "train":
            working.set()
            go_on.wait(300)

    def first() -> None:
        ended.append(tunesmith.run(tunesmith.load_recipe(recipe), workspace=workspace, listen=listen))

    one = threading.Thread(target=first)
    one.start()
    try:
        assert working.wait(300)
        said = command("run", recipe, "--workspace", workspace)
        assert (said.code, said.out, len(said.errors)) == (3, "", 1) and "in use by another process" in said.err
        asked = [sys.executable, "-m", "tunesmith", "run", recipe, "--workspace", workspace]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("error: Round r-") and done.stderr.count("\n") == 1
        (listed,) = command("list", "--workspace", workspace, "--json").json()["rounds"]
        assert listed["status"] == "running"
    finally:
        go_on.set()
        one.join()
    assert ended[0].status == "done" and ended[0].report["round"]["continued"] == 0
    assert_whole(workspace)
    assert read_json(ended[0].folder / "report.json") == ended[0].report
