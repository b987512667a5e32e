"""Near-duplicates: what is near is found, what is not is not, and work and memory stay in bounds."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from tunesmith.data.near import Clusters, NearDuplicates, spill
from tunesmith.data.near.clusters import Joining
from tunesmith.data.near.grams import Chunk, bag_distance
from tunesmith.data.near.spill import Parts, TextStore
from tunesmith.data.settings.dedup import NearConfig

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def found(texts: Sequence[str], folder: Path, config: NearConfig | None = None, seed: int = 0, at_once: int = 1000) -> Clusters:
    finder = NearDuplicates(config or NearConfig(), folder, seed)
    for start in range(0, len(texts), at_once):
        finder.add(texts[start : start + at_once])
    return finder.clusters()


def only_the_result(folder: Path) -> bool:
    """Whether the folder holds no file but the pairs that are handed out."""
    return {path.suffix for path in folder.iterdir()} <= {".pairs"}


def alone(count: int) -> list[int]:
    return list(range(count))


def sentence(rng: random.Random, words: int) -> str:
    return " ".join("".join(rng.choice(LETTERS) for _ in range(rng.randint(3, 9))) for _ in range(words))


def by_hand(texts: Sequence[str], edit: float = 0.85) -> tuple[list[int], list[int], int]:
    """First, component and pairs over distinct texts, by comparing everything with everything."""

    def near(a: str, b: str) -> bool:
        return a == b or Levenshtein.distance(a, b) <= int((1 - edit) * max(len(a), len(b)) + 1e-9)

    first, component = alone(len(texts)), alone(len(texts))
    distinct: list[int] = []
    pairs = 0
    for late, text in enumerate(texts):
        equal = texts.index(text)
        partners = [early for early in distinct if near(texts[early], text)] if equal == late else [equal]
        pairs += len(partners)
        stay = [early for early in partners if first[early] == early] if equal == late else [first[equal]]
        first[late] = min(stay, default=late)
        joined = {component[early] for early in partners} | {late}
        component = [min(joined) if each in joined else each for each in component]
        if equal == late:
            distinct.append(late)
    return first, component, pairs


@pytest.mark.parametrize(
    ("length", "edits", "near"),
    [(7, 1, True), (6, 1, False), (20, 3, True), (20, 4, False), (40, 6, True), (40, 7, False), (100, 15, True), (100, 16, False)],
)
def test_a_pair_at_the_threshold_is_found_and_one_edit_more_is_not(tmp_path: Path, length: int, edits: int, near: bool) -> None:
    text = "".join(LETTERS[(5 * k + k // 26) % 26] for k in range(length))
    other = list(text)
    for place in random.Random(length).sample(range(length), edits):
        other[place] = "9"
    clusters = found([text, "".join(other)], tmp_path)
    assert clusters.first.tolist() == ([0, 0] if near else [0, 1])
    assert clusters.pairs == int(near)


def test_the_thresholds_are_those_of_the_config(tmp_path: Path) -> None:
    texts = ["where is my new card", "where is my own cards"]  # 4 edits in 21 characters
    assert found(texts, tmp_path).first.tolist() == [0, 1]
    assert found(texts, tmp_path, NearConfig(edit=0.8)).first.tolist() == [0, 0]


def test_nothing_is_found_among_texts_that_have_nothing_in_common(tmp_path: Path) -> None:
    rng = random.Random(1)
    texts = [sentence(rng, rng.randint(1, 70)) for _ in range(3000)]
    clusters = found(texts, tmp_path)
    assert clusters.first.tolist() == clusters.component.tolist() == alone(3000)
    assert clusters.pairs == clusters.capped == 0


def test_planted_edits_are_found_and_only_they(tmp_path: Path) -> None:
    rng = random.Random(2)
    texts = [sentence(rng, rng.randint(2, 15)) for _ in range(1500)]
    wanted = alone(1500)
    for at in range(0, 1500, 5):
        edited = list(texts[at])
        for place in rng.sample(range(len(edited)), int(0.1 * len(edited))):
            edited[place] = rng.choice(LETTERS)
        texts.append("".join(edited))
        wanted.append(at)
    clusters = found(texts, tmp_path)
    assert clusters.first.tolist() == wanted
    assert clusters.component.tolist() == wanted
    assert clusters.pairs == clusters.dropped == 300


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(alphabet="abc д", max_size=23), max_size=25))
def test_up_to_23_characters_it_says_what_comparing_everything_says(tmp_path: Path, texts: list[str]) -> None:
    clusters = found(texts, tmp_path, at_once=7)
    first, component, pairs = by_hand(texts)
    assert clusters.first.tolist() == first
    assert clusters.component.tolist() == component
    assert clusters.pairs == pairs
    assert clusters.capped == 0


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=60), max_size=20), st.integers(1, 9), st.integers(0, 2**40))
def test_whatever_the_texts_chunks_and_seed_no_pair_is_made_up(tmp_path: Path, texts: list[str], at_once: int, seed: int) -> None:
    clusters = found(texts, tmp_path, seed=seed, at_once=at_once)
    for late, early in enumerate(clusters.first.tolist()):
        longest = max(len(texts[late]), len(texts[early]))
        assert Levenshtein.distance(texts[late], texts[early]) <= 0.15 * longest + 1e-9
        assert clusters.first[early] == early <= late
        assert clusters.component[late] == clusters.component[early]


def test_a_chain_is_one_component_but_no_row_goes_for_one_it_is_unlike(tmp_path: Path) -> None:
    rng = random.Random(10)
    before, after = ("".join(rng.choice(LETTERS) for _ in range(40)) for _ in range(2))
    texts = [after[:k] + before[k:] for k in range(0, 41, 4)]  # each 4 edits or fewer from the next, of 6 allowed
    clusters = found(texts, tmp_path)
    assert clusters.component.tolist() == [0] * 11
    assert clusters.first.tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10]


def test_a_repeat_of_a_near_duplicate_goes_for_the_row_that_stays(tmp_path: Path) -> None:
    texts = ["please cancel my order", "please cancel my ordr", "please cancel my ordr", "something else entirely"]
    assert found(texts, tmp_path).first.tolist() == [0, 0, 0, 3]


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("", "", True),
        ("", "a", False),
        ("a", "b", False),
        ("我的银行卡什么时候能寄到", "我的银行卡什么时候能送到", True),
        ("где находится моя новая карта", "где находится моя новая картa", True),
        ("أين بطاقتي الجديدة", "متى يفتح البنك غدا", False),
        ("🙂🙃🙂🙃🙂🙃🙂🙃", "🙂🙃🙂🙃🙂🙃🙂🎉", True),
        ("a lone \ud800 surrogate stands here", "a lone \ud800 surrogate stand here", True),
    ],
)
def test_any_script_and_the_shortest_texts_are_compared_by_characters(tmp_path: Path, one: str, other: str, near: bool) -> None:
    assert found([one, other], tmp_path).first.tolist() == ([0, 0] if near else [0, 1])


def test_long_texts_are_compared_by_their_pieces(tmp_path: Path) -> None:
    rng = random.Random(3)
    words = sentence(rng, 200).split()
    some, many = words.copy(), words.copy()
    for k in range(0, 200, 20):
        some[k] = "replaced"
    for k in range(0, 200, 5):
        many[k] = "replaced"
    clusters = found([" ".join(each) for each in (words, some, many, words[:120])], tmp_path)
    assert clusters.first.tolist() == [0, 0, 2, 3]


def test_the_jaccard_threshold_holds_to_the_piece(tmp_path: Path) -> None:
    digits = "".join(f"{k:04d}" for k in range(3000))
    pieces = {digits[k : k + 5] for k in range(len(digits) - 4)}
    other = digits[:9000] + "".join(random.Random(4).choice(LETTERS) for _ in range(2000))
    others = {other[k : k + 5] for k in range(len(other) - 4)}
    alike = len(pieces & others) / len(pieces | others)
    assert 0.55 < alike < 0.95
    assert found([digits, other], tmp_path, NearConfig(jaccard=alike - 0.001)).first.tolist() == [0, 0]
    assert found([digits, other], tmp_path, NearConfig(jaccard=alike + 0.001)).first.tolist() == [0, 1]


def test_a_megabyte_of_text_is_compared_and_two_only_for_equality(tmp_path: Path) -> None:
    rng = random.Random(5)
    book = "".join(rng.choices(LETTERS + " ", k=1_000_000))
    giant = "x" * (2 << 20)
    texts = [book, "short", book[:500_000] + "something" + book[500_000:], giant, giant + "y", giant, "z" * (1 << 20)]
    assert found(texts, tmp_path).first.tolist() == [0, 1, 0, 3, 4, 3, 6]


def test_thousands_of_texts_of_one_template_cost_no_quadratic_work_and_are_told(tmp_path: Path) -> None:
    texts = [f"order number {number:09d} is late" for number in random.Random(6).sample(range(10**9), 10_000)]
    clusters = found(texts, tmp_path)
    assert clusters.compared < 10_000 * 500
    assert clusters.capped > 5000
    assert clusters.dropped > 5000
    heads = [texts[k] for k in clusters.first]
    assert all(Levenshtein.distance(a, b) <= 4 for a, b in zip(texts, heads, strict=True))


def test_on_disk_it_says_what_it_says_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(9)
    texts = [f"{rng.choice(['card', 'loan', 'bill'])} {rng.randrange(10**4)} {sentence(rng, 2)}" for _ in range(800)]
    texts += [text.replace("a", "e", 1) for text in texts]
    in_memory = found(texts, tmp_path, at_once=300)
    monkeypatch.setattr(spill, "HELD_BYTES", 1)
    on_disk = found(texts, tmp_path, at_once=300)
    assert in_memory.dropped > 700
    assert on_disk.first.tolist() == in_memory.first.tolist()
    assert on_disk.component.tolist() == in_memory.component.tolist()
    assert (on_disk.pairs, on_disk.compared, on_disk.capped) == (in_memory.pairs, in_memory.compared, in_memory.capped)
    assert only_the_result(tmp_path)


def test_ten_thousand_equal_texts_are_one_cluster(tmp_path: Path) -> None:
    clusters = found(["the same words again"] * 10_000, tmp_path)
    assert not clusters.first.any()
    assert clusters.pairs == 9_999
    assert clusters.compared == clusters.capped == 0


def test_the_same_texts_and_seed_give_the_same_and_chunks_do_not_matter(tmp_path: Path) -> None:
    rng = random.Random(7)
    texts = [f"order number {rng.randrange(10**6)} is {rng.choice(['late', 'lost', 'here'])}" for _ in range(2000)]
    one, other = found(texts, tmp_path / "a", at_once=1), found(texts, tmp_path / "b", at_once=1999)
    assert one.first.tolist() == other.first.tolist()
    assert one.component.tolist() == other.component.tolist()
    assert (one.pairs, one.compared, one.capped) == (other.pairs, other.compared, other.capped)


def test_what_a_killed_run_left_is_overwritten_and_no_scratch_file_stays(tmp_path: Path) -> None:
    killed = NearDuplicates(NearConfig(), tmp_path, 0)
    killed.add(["what a killed run had read"] * 10)
    (tmp_path / "pieces-007.u64").write_bytes(b"12345678")
    assert any(tmp_path.iterdir())
    assert found(["one text", "quite another"], tmp_path).first.tolist() == [0, 1]
    assert only_the_result(tmp_path)


def test_no_texts_at_all_are_no_clusters(tmp_path: Path) -> None:
    clusters = found([], tmp_path)
    assert clusters.first.tolist() == clusters.component.tolist() == []
    assert not list(clusters.largest(5))


def test_the_largest_clusters_are_told_first(tmp_path: Path) -> None:
    texts = [
        "my card has not arrived",
        "hello there friend",
        "my card has not arived",
        "hello there frend",
        "my card has not arrivd",
        "alone",
    ]
    assert [rows.tolist() for rows in found(texts, tmp_path).largest(5)] == [[0, 2, 4], [1, 3]]
    assert [rows.tolist() for rows in found(texts, tmp_path).largest(1)] == [[0, 2, 4]]


@given(st.text(max_size=80), st.text(max_size=80))
def test_letter_counts_never_rule_out_a_pair_that_is_near(one: str, other: str) -> None:
    bags = Chunk.of([one, other]).bags()
    assert bag_distance(bags[:1], bags[1:])[0] + abs(len(one) - len(other)) <= 2 * Levenshtein.distance(one, other)


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_stars_and_components_are_those_found_by_hand(count: int, drawn: list[tuple[int, int]]) -> None:
    edges = sorted({(max(pair), min(pair)) for pair in drawn if pair[0] != pair[1] and max(pair) < count})
    first, component = alone(count), alone(count)
    for late, early in edges:
        if first[late] == late and first[early] == early:
            first[late] = early
    for late, early in edges:
        low, high = sorted((component[late], component[early]))
        component = [low if each == high else each for each in component]
    joining = Joining(count)
    packed = np.array([late << 32 | early for late, early in edges], np.uint64)
    joining.add(packed[: len(edges) // 2])
    joining.add(packed[len(edges) // 2 :])
    assert joining.first.tolist() == first
    assert joining.component.tolist() == component
    assert joining.pairs == len(edges)


@pytest.mark.parametrize("held_bytes", [1, 10_000, 1 << 20])
def test_parts_hand_back_what_they_took_sorted_and_once(tmp_path: Path, held_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "HELD_BYTES", held_bytes)
    values = np.random.default_rng(8).integers(0, 2**64, 5000, np.uint64)
    parts = Parts(tmp_path, "values", 3)
    for block in np.split(np.concatenate([values, values[:100]]), 6):
        parts.add(block)
    parts.settle()
    assert len(parts) == (1 if held_bytes == 1 << 20 else 8)
    assert np.concatenate([parts.read(part) for part in range(len(parts))]).tolist() == sorted(set(values.tolist()))
    parts.remove()
    assert not any(tmp_path.iterdir())


@given(st.lists(st.text(alphabet="aé我🙂\ud800", max_size=9), max_size=30), st.data())
def test_stored_texts_come_back_by_ordinal(tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject) -> None:
    store = TextStore(tmp_path_factory.mktemp("texts"))
    store.add(texts[:10])
    store.add(texts[10:])
    wanted = sorted(data.draw(st.sets(st.integers(0, len(texts) - 1), max_size=20))) if texts else []
    assert store.fetch(np.array(wanted, np.int64)) == [texts[k] for k in wanted]
    store.remove()
