"""Bias sets as their authors give them: read whole, packed or not, and refused by file, line and rule without repeating a word of them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.bias_sets import bbq_line, bbq_lines, crows_lines, write_bbq, write_crows, write_wino_folder, write_wino_table
from tunesmith.core.errors import DataError, RecipeError
from tunesmith.evaluate.bbq_groups import target_of
from tunesmith.evaluate.bias_files import bbq, crows_pairs, read_bias_sets, winobias
from tunesmith.evaluate.harm_config import BiasConfig


def test_crows_pairs_are_read_plain_and_packed_alike(tmp_path: Path) -> None:
    pairs = list(crows_pairs(write_crows(tmp_path / "crows.csv")))
    assert [(pair.more, pair.less, pair.part) for pair in pairs] == [
        (line["sent_more"], line["sent_less"], line["bias_type"]) for line in crows_lines()
    ]
    assert len({pair.unit for pair in pairs}) == 30
    assert list(crows_pairs(write_crows(tmp_path / "crows.csv.gz"))) == pairs


def test_winobias_is_the_same_from_its_files_and_from_one_table(tmp_path: Path) -> None:
    folder, table = list(winobias(write_wino_folder(tmp_path / "wino"))), list(winobias(write_wino_table(tmp_path / "wino.csv")))
    assert (len(folder), len(table)) == (96, 48)
    assert {(pair.part, pair.more, pair.less, pair.unit) for pair in table} < {
        (pair.part, pair.more, pair.less, pair.unit) for pair in folder
    }
    assert table[0].more == "The baker laughed because she was tired."
    assert table[0].less == "The baker laughed because he was tired."
    assert table[0].unit == "baker"
    assert len({pair.unit for pair in folder}) == 12
    assert not any("[" in pair.more + pair.less for pair in folder)


def test_bbq_questions_keep_what_is_told_of_them(tmp_path: Path) -> None:
    questions = list(bbq(write_bbq(tmp_path / "Pets.jsonl.gz")))
    assert len(questions) == 48
    assert [one.unit for one in questions[:5]] == ["Pets 0"] * 4 + ["Pets 1"]
    assert {(one.unknown, one.target) for one in questions} == {(2, 0)}
    assert [(one.ambiguous, one.negative) for one in questions[:4]] == [(True, True), (False, True), (True, False), (False, False)]
    assert questions[0].text.endswith("a dog owner. Who sleeps late?")


@pytest.mark.parametrize(
    ("infos", "groups", "place"),
    [
        ([("a", "old"), ("b", "nonOld"), ("c", "unknown")], ["old"], 0),
        ([("a", "old"), ("b", "nonOld"), ("c", "unknown")], ["nonOld"], 1),
        ([("a", "unknown"), ("b", "woman"), ("c", "man")], ["F"], 1),
        ([("a", "girl"), ("b", "boy"), ("c", "unknown")], ["M"], 1),
        ([("a", "lowSES"), ("b", "highSES"), ("c", "unknown")], ["low SES"], 0),
        ([("a", "M-Red"), ("b", "M-Blue"), ("c", "unknown")], ["Blue", "Azure"], 1),
        ([("a", "nonTrans"), ("b", "trans_F"), ("c", "unknown")], ["Transgender women", "Transgender men"], 1),
        ([("Bernese", "Swiss"), ("Roman", "Italian"), ("c", "unknown")], ["Bernese"], 0),
        ([("a", "F-Red"), ("b", "M-Red"), ("c", "unknown")], ["Red"], None),
        ([("a", "x"), ("b", "y"), ("c", "unknown")], [], None),
        ([("a", "x"), ("b", "y"), ("c", "unknown")], ["unknown"], None),
    ],
)
def test_the_answer_about_the_group_is_found_by_name_or_not_guessed(infos: Any, groups: list[str], place: int | None) -> None:
    assert target_of(infos, groups, next(at for at, info in enumerate(infos) if info[1] == "unknown")) == place


def test_a_sample_is_drawn_by_the_seed_and_said(tmp_path: Path) -> None:
    config = BiasConfig(
        crows_pairs=str(write_crows(tmp_path / "crows.csv")),
        winobias=str(write_wino_folder(tmp_path / "wino")),
        bbq=[str(write_bbq(tmp_path / "Pets.jsonl")), str(write_bbq(tmp_path / "More.jsonl", [bbq_lines()[0]]))],
        most=20,
    )
    sets = read_bias_sets(config, seed=1)
    assert (len(sets.pairs), len(sets.questions)) == (40, 20)
    assert sets == read_bias_sets(config, seed=1)
    assert sets != read_bias_sets(config, seed=2)
    assert [note.split(" were")[0] for note in sets.notes] == [
        "20 of the 30 pairs of CrowS-Pairs",
        "20 of the 96 pairs of WinoBias",
        "20 of the 49 questions of BBQ",
    ]
    whole = read_bias_sets(config.model_copy(update={"most": 1000}), seed=2)
    assert (len(whole.pairs), len(whole.questions), whole.notes) == (126, 49, ())


def test_questions_whose_group_is_not_told_are_counted(tmp_path: Path) -> None:
    lines = [*bbq_lines(), bbq_line(90, ambiguous=True, negative=True, additional_metadata={"stereotyped_groups": []})]
    found = read_bias_sets(BiasConfig(bbq=str(write_bbq(tmp_path / "Pets.jsonl", lines))), seed=0)
    assert "Of 1 of the 49 questions" in found.notes[0]


SECRET = "zebra"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"sent_more": ""}, "sent_more must be a text"),
        ({"sent_less": f"The cat {SECRET}", "sent_more": f"The cat {SECRET}"}, "must differ"),
        ({"stereo_antistereo": SECRET}, "stereo or antistereo"),
        ({"bias_type": " "}, "bias_type must be a text"),
    ],
)
def test_a_line_of_crows_pairs_that_is_none_is_refused_by_its_number(tmp_path: Path, change: dict[str, str], rule: str) -> None:
    lines = crows_lines()
    lines[2] |= change
    with pytest.raises(DataError, match=rf"crows\.csv:4: .*{rule}") as refused:
        list(crows_pairs(write_crows(tmp_path / "crows.csv", lines)))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("sent_more,sent_less,stereo_antistereo\na,b,stereo\n", "no column bias_type"),
        ("", "no column sent_more"),
        ("sent_more,sent_less,stereo_antistereo,bias_type\n", "no line beneath its head"),
        ("sent_more,sent_less,stereo_antistereo,bias_type\na,b,stereo\n", ":2: a line must have as many cells"),
        ("sent_more,sent_less,stereo_antistereo,bias_type\na,b,stereo,c,d\n", ":2: a line must have as many cells"),
        ('sent_more,sent_less,stereo_antistereo,bias_type\n"a,b,stereo,c\n', "no line of a CSV file"),
        ("x" * 2**18, "under 131,072 characters"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    path = tmp_path / "crows.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=rule):
        list(crows_pairs(path))


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00a", b"\x1f\x8b", gzip.compress(b"sent_more," * 999, mtime=0)[:-9], gzip.compress(b"a" * 99, mtime=0)[:12] + b"zz"],
    ids=["no text", "a header cut short", "an end cut off", "another end"],
)
def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.csv"
    path.write_bytes(content)
    for read in (crows_pairs, bbq):
        with pytest.raises(DataError, match=r"damaged\.csv"):
            list(read(path))


@pytest.mark.parametrize(
    "change",
    [
        {"label": 3},
        {"label": True},
        {"label": "0"},
        {"ans0": "The dog owner"},
        {"ans1": None},
        {"context": ["a"]},
        {"context_condition": "unclear"},
        {"question_polarity": None},
        {"answer_info": None},
        {"answer_info": {"ans0": ["a", "unknown"], "ans1": ["b", "unknown"], "ans2": ["c", "d"]}},
        {"answer_info": {"ans0": ["a", "x"], "ans1": ["b", 3], "ans2": ["c", "unknown"]}},
        {"additional_metadata": {}},
        {"question": "\ud800"},
    ],
)
def test_a_question_that_is_none_is_refused_by_its_line(tmp_path: Path, change: dict[str, Any]) -> None:
    lines = [bbq_lines()[0], bbq_line(1, ambiguous=True, negative=True, **change)]
    with pytest.raises(DataError, match=r"Pets\.jsonl:2: "):
        list(bbq(write_bbq(tmp_path / "Pets.jsonl", lines)))


@pytest.mark.parametrize("line", ["nonsense", "[1]", "[" * 50_000, '{"label": 1', "null", "1" * 5000])
def test_a_line_that_is_no_object_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "Pets.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match=r"Pets\.jsonl:1: "):
        list(bbq(path))


@given(st.binary(max_size=200))
def test_whatever_bytes_a_file_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(b"sent_more,sent_less,stereo_antistereo,bias_type\n" + content)
    for read in (crows_pairs, winobias, bbq):
        try:
            list(read(path))
        except DataError as error:
            assert "any.csv" in str(error)


def test_winobias_that_lacks_a_half_is_refused(tmp_path: Path) -> None:
    folder = write_wino_folder(tmp_path / "wino")
    (folder / "anti_stereotyped_type2.txt.dev").unlink()
    with pytest.raises(DataError, match="line 1 of dev, type 2, is there as pro and not as anti"):
        list(winobias(folder))
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(DataError, match="none of WinoBias' files"):
        list(winobias(folder))
    (folder / "pro_stereotyped_type1.txt.dev").write_text("1 The baker [laughed.\n")
    with pytest.raises(DataError, match=r"type1\.txt\.dev:1: .*brackets"):
        list(winobias(folder))


def test_a_line_of_winobias_told_twice_is_refused(tmp_path: Path) -> None:
    path = write_wino_table(tmp_path / "wino.csv")
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(DataError, match="there twice"):
        list(winobias(path))


def test_a_path_where_nothing_is_is_refused() -> None:
    with pytest.raises(RecipeError, match="nothing is there"):
        read_bias_sets(BiasConfig(winobias="nowhere/at/all"), seed=0)


@pytest.mark.parametrize("section", [{}, {"bbq": []}, {"most": 30}, {"groups": ["town", "town"]}, {"crows_pairs": ""}])
def test_a_section_that_names_nothing_or_a_column_twice_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nothing to look at|twice|at least 1 character"):
        BiasConfig.model_validate(section)


def test_the_public_files_are_read_to_the_last_line(shared_data: Path) -> None:
    pairs = list(crows_pairs(shared_data / "crows_pairs" / "crows_pairs_anonymized.csv"))
    assert len(pairs) == 1508
    assert len({pair.part for pair in pairs}) == 9
    sentences = list(winobias(shared_data / "winobias" / "winobias.csv"))
    assert len(sentences) == 1584
    assert len({pair.unit for pair in sentences}) == 40
    for name, rows in (("Disability_status", 1556), ("Physical_appearance", 1576), ("Religion", 1200), ("Sexual_orientation", 864)):
        questions = list(bbq(shared_data / "bbq" / f"{name}.jsonl.gz"))
        assert len(questions) == rows
        assert all(one.target is not None for one in questions)
        assert len({one.unit for one in questions}) == 25
        assert all((one.right == one.unknown) == one.ambiguous for one in questions)
        assert json.dumps(questions[0].text)
