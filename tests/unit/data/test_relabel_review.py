"""The list for review: written, filled in by hand, read back, and done, nothing else."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.core.errors import DataError, MachineError, RecipeError
from tunesmith.core.rows import Changed, Dropped, Kept, Message, Outcome, Row
from tunesmith.data.review import COLUMNS, Fix, Suspect, decide, read_review, relabel, write_review
from tunesmith.data.settings.relabel import RelabelConfig

LABELS = ("refund", "=late", "-1", "'quoted", "late, very")


def suspect(number: int, given: str = "refund", suggested: str = "=late", score: float = 0.01) -> Suspect:
    return Suspect(id=str(number), given=given, suggested=suggested, score=score, text="=HYPERLINK(1)", source=f"a.csv:{number}")


def row(number: int, answer: str = "refund", labels: tuple[str, ...] | None = None) -> Row:
    return Row(id=str(number), prompt=(Message("user", "text"),), answer=answer, labels=labels)


def fill_in(path: Path, decisions: dict[str, tuple[str, str]]) -> None:
    """What a person does in an editor: id -> decision and label."""
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    for line in lines:
        line["decision"], line["label"] = decisions.get(line["id"], ("", ""))
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(line) + "\n" for line in lines)
        else:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(lines)


def reasons(outcomes: list[Outcome]) -> list[str]:
    return ["" if isinstance(outcome, Kept) else outcome.reason for outcome in outcomes]


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_a_list_goes_out_is_filled_in_and_done(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write_review(path, [suspect(number) for number in range(5)]) == 5
    assert read_review(path, LABELS) == {}, "nothing is decided yet"
    fill_in(path, {"0": ("keep", ""), "1": ("Drop", ""), "2": ("fix", ""), "3": ("fix", "late, very")})
    decisions = read_review(path, LABELS)
    assert decisions == {"1": (Fix(),), "2": (Fix("refund", "=late"),), "3": (Fix("refund", "late, very"),)}
    outcomes = list(relabel([row(number) for number in range(6)], decisions))
    assert [type(outcome) for outcome in outcomes] == [Kept, Dropped, Changed, Changed, Kept, Kept]
    assert reasons(outcomes) == ["", "its label looks wrong", "label corrected", "label corrected", "", ""]
    assert [outcome.row.answer for outcome in outcomes] == ["refund", "refund", "=late", "late, very", "refund", "refund"]
    assert [outcome.row.id for outcome in outcomes] == list("012345")


def test_spreadsheets_see_no_formula_and_only_the_owner_sees_the_file(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    write_review(path, [suspect(1, "-1", "=late")])
    with path.open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["text"], line["suggested"]) == ("'=HYPERLINK(1)", "'=late")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["list.csv"]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1), st.sampled_from(["csv", "jsonl"]))
def test_any_label_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, label: str, kind: str) -> None:
    path = tmp_path_factory.mktemp("review") / f"list.{kind}"
    write_review(path, [suspect(1, label, "other")])
    fill_in(path, {"1": ("fix", "")})
    assert read_review(path, ["other", label]) == {"1": (Fix(label, "other"),)}


def test_a_row_whose_label_is_another_by_now_stays() -> None:
    assert reasons(list(relabel([row(1, "weather")], {"1": (Fix("refund", "=late"),)}))) == [""]


def test_sets_of_labels_gain_and_lose_one_at_a_time() -> None:
    rows = [row(1, "a, b", ("a", "b")), row(2, "a", ("a",)), row(3, "a", ("a",))]
    fixes = {"1": (Fix("a", ""), Fix("", "c")), "2": (Fix("a", ""),), "3": (Fix("a", "b"),)}
    outcomes = list(relabel(rows, fixes))
    assert (outcomes[0].row.labels, outcomes[0].row.answer) == (("b", "c"), "b, c")
    assert reasons(outcomes) == ["label corrected", "no label of it is left", "label corrected"]
    assert outcomes[2].row.labels == ("b",)


def test_without_a_review_only_what_is_asked_for_is_done_and_no_more_than_the_share() -> None:
    ranked = [suspect(number) for number in range(50)]
    assert decide(ranked, RelabelConfig(), 100) == {}
    assert decide(ranked, RelabelConfig(action="off"), 100) == {}
    assert list(decide(ranked, RelabelConfig(action="drop", share=0.07), 100)) == [str(number) for number in range(7)]
    assert decide(ranked[:1], RelabelConfig(action="fix"), 100) == {"0": (Fix("refund", "=late"),)}
    with pytest.raises(ValidationError, match="the reviewed file decides"):
        RelabelConfig(action="fix", review="list.csv")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ({"id": "1", "decision": "fixx"}, "Did you mean 'fix'?"),
        ({"id": "1", "decision": "fix", "given": "refund", "suggested": "refnd"}, "Did you mean 'refund'?"),
        ({"id": "1", "given": "refund"}, "no id, or no decision column"),
        ({"decision": "drop"}, "no id"),
        (["not", "an", "object"], "no JSON object"),
    ],
)
def test_lines_that_cannot_be_followed_are_named(tmp_path: Path, line: object, part: str) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('{"id": "0", "decision": ""}\n' + json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as told:
        read_review(path, LABELS)
    assert part in str(told.value)
    assert "list.jsonl:2" in str(told.value)


def test_two_decisions_for_one_row_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    lines = [{"id": "1", "decision": "drop"}, {"id": "1", "decision": "fix", "given": "refund", "suggested": "=late"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(DataError, match="another decision"):
        read_review(path, LABELS)


def test_files_that_are_no_list_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no file"):
        read_review(tmp_path / "none.csv", LABELS)
    with pytest.raises(RecipeError, match=r"neither \.csv nor \.jsonl"):
        write_review(tmp_path / "list.xlsx", [])
    broken = tmp_path / "list.csv"
    broken.write_bytes(b"id,decision\n\xff\xfe,drop\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_review(broken, LABELS)
    broken.write_text("some,other,columns\n1,2,3\n", encoding="utf-8")
    with pytest.raises(DataError, match="no id"):
        read_review(broken, LABELS)
    with pytest.raises(MachineError, match="can't be written"):
        write_review(tmp_path / "nowhere" / "list.csv", [])


def test_a_list_saved_with_semicolons_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\ufeffid;source;text;given;suggested;score;decision;label\r\n1;a;b;refund;'=late;0,1;fix;\r\n", encoding="utf-8")
    assert read_review(path, LABELS) == {"1": (Fix("refund", "=late"),)}
