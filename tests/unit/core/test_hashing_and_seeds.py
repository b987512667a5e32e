"""The same content has the same name, other content another; streams of one seed are apart."""

import hashlib
from pathlib import Path

import pytest

from tunesmith.core.errors import DivergedError, did_you_mean
from tunesmith.core.hashing import canonical_json, digest, digest_file, digest_folder
from tunesmith.core.seeds import derive_seed, fraction


def test_order_of_keys_does_not_count() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert canonical_json({"b": "é", "a": None}) == '{"a":null,"b":"é"}'
    with pytest.raises(ValueError):
        digest(float("nan"))


def test_folders_are_named_by_names_and_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a.txt").write_text("x")
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")
    assert digest_file(tmp_path / "one" / "sub" / "a.txt") == hashlib.sha256(b"x").hexdigest()
    (tmp_path / "two" / "sub" / "a.txt").rename(tmp_path / "two" / "a.txt")
    assert digest_folder(tmp_path / "one") != digest_folder(tmp_path / "two")
    before = digest_folder(tmp_path / "one", ("*.json",))
    (tmp_path / "one" / "b.txt").write_text("not asked for")
    assert digest_folder(tmp_path / "one", ("*.json",)) == before


def test_streams_are_apart_and_stay_put() -> None:
    assert derive_seed(0, "order", 1) == derive_seed(0, "order", 1)
    seeds = {derive_seed(seed, name, number) for seed in range(5) for name in ("order", "adapt") for number in range(5)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)
    values = [fraction(0, str(key)) for key in range(2000)]
    assert all(0 <= value < 1 for value in values)
    assert 0.47 < sum(values) / len(values) < 0.53


def test_near_names_are_offered() -> None:
    assert did_you_mean("acuracy", ["accuracy", "bleu"]) == " Did you mean 'accuracy'?"
    assert did_you_mean("zzz", ["b", "a"]) == " Known: a, b."
    assert did_you_mean("zzz", []) == ""


def test_a_divergence_names_few_rows() -> None:
    error = DivergedError(step=3, loss=float("nan"), grad_norm=2.0, row_ids=[f"r{n}" for n in range(9)])
    assert str(error).startswith("step 3 was refused: loss nan, gradient norm 2, rows r0, r1, r2, r3 ...")
    assert error.exit_code == 3
