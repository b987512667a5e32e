"""The data page tells what the report holds, ends with what to look at first, and nothing in a row can act, hide or swell it."""

import importlib.util
import json
import math
import re
import unicodedata
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import MachineError
from tunesmith.report.data_card import data_card, write_data_card
from tunesmith.report.data_diff import side_by_side
from tunesmith.report.data_look import first_to_look, headline
from tunesmith.report.data_shape import read_data_report
from tunesmith.report.data_spread import classes, lengths
from tunesmith.report.data_stages import SAMPLES, SAMPLES_OF_STAGE, stages, waterfall

STRANGE = st.text(alphabet=st.characters(codec=None) | st.sampled_from("\x1b\u202e\u200b\x00\u0301\t\n\r <&⟨"), max_size=60)
VOID = {"meta", "link", "br", "rect", "line", "circle", "img", "input"}


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fake_data_reports", Path(__file__).with_name("fake_data_reports.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKES = _loaded()


class Page(HTMLParser):
    """The tags and texts of a page, as a browser would take them; open tags that are never closed are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.headings: list[int] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def sections(self) -> list[str]:
        return [held["id"] or "" for tag, held in self.tags if tag == "section"]

    def ids(self) -> list[str]:
        return [held["id"] or "" for _, held in self.tags if "id" in held]


def told(report: dict[str, Any]) -> list[str]:
    return [pointer.sentence for pointer in first_to_look(report)]


def with_findings(**found: Any) -> dict[str, Any]:
    report: dict[str, Any] = FAKES.clean()
    report["findings"] |= found
    return report


def test_the_page_has_every_part_in_order_and_ends_with_what_to_look_at() -> None:
    page = Page(data_card(FAKES.whole()))
    assert page.sections() == [
        "waterfall",
        "stages",
        "split",
        "personal",
        "suspects",
        "near",
        "suspicions",
        "classes",
        "lengths",
        "bias",
        "coverage",
        "made",
        "tokens",
        "notes",
        "prepared",
        "look",
    ]
    for words in (
        "tickets.csv",
        "21 November 2026, 02:00 UTC",
        "10,000 rows read, 9,100 kept (200 of them made): 7,100 to train on, 500 to select by, 500 to calibrate by, 1,000 to test on.",
        "not valid JSON",
        "write to [EMAIL]",
        "89 of 8,900 labels judged look wrong, 70 of them in train. All are listed in review.csv",
        "60 rows nearly repeat another one (90 pairs, 4,000 pairs compared in full).",
        "Cluster 1: 3 rows shown, 2 different answers",
        "4 labels in train, a median of 548 rows each; most refund (6,000), fewest rare (5).",
        "Rows that give away texts of bench.jsonl (120 texts)",
        "Repeat rows of rare labels.",
        "data: {balance: {method: upsample}}",
        "Rows whose text names a group: gender",
        "31 rows are longer than 256 tokens and would be cut. Counted on 3,000 rows, spread evenly, and scaled.",
        "3 texts carry more than one label (7 rows, kept).",
        "path: tickets.csv",
    ):
        assert words in page.text, words


def test_what_is_unknown_is_not_spoken_of() -> None:
    page = Page(data_card(FAKES.bare()))
    assert page.sections() == ["prepared"]
    assert first_to_look(FAKES.bare()) == []
    nulls = FAKES.bare() | dict.fromkeys(
        ("waterfall", "sides", "labels", "samples", "findings", "tokens", "notes", "recipe_section", "hashes")
    )
    assert data_card(nulls) == data_card(FAKES.bare())


def test_headings_tables_and_pictures_have_names_for_who_listens() -> None:
    page = Page(data_card(FAKES.whole()))
    assert page.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert all("scope" in held for tag, held in page.tags if tag == "th")
    assert all(held.get("aria-label") for tag, held in page.tags if tag == "svg")
    assert len(page.ids()) == len(set(page.ids()))


def test_every_pointer_leads_to_a_place_on_the_page() -> None:
    for report in (FAKES.whole(), FAKES.hostile(), FAKES.clean()):
        page = Page(data_card(report))
        links = {held["href"] for tag, held in page.tags if tag == "a"}
        assert {f"#{pointer.anchor}" for pointer in first_to_look(report)} <= links
        assert links <= {f"#{name}" for name in page.ids()}


def test_the_top_of_the_page_tells_one_thing_of_each_section() -> None:
    page = data_card(FAKES.whole())
    top = page[page.index("Look at this first") : page.index("<nav")]
    assert re.findall(r'href="#([\w-]+)"', top) == ["split", "stage-leak", "personal", "classes", "look"]
    assert "15 more" in top


def test_nothing_is_told_where_nothing_is() -> None:
    assert first_to_look(FAKES.clean()) == []
    page = Page(data_card(FAKES.clean()))
    assert "Nothing stands out" in page.text
    assert "Look at this first" not in page.text


def test_what_is_planted_is_told_the_costliest_first() -> None:
    assert told(FAKES.whole()) == [
        "2 texts stand on more than one side: test figures will flatter the model.",
        "1 group of customer stands on more than one side: test figures will flatter the model.",
        "3 pairs of near-duplicates stand on two sides: test figures will flatter the model.",
        "10 rows also stood in the files to judge by and were dropped: the files were not made apart.",
        "5 rows gave away texts of bench.jsonl and were dropped from training.",
        "Personal data in 50 rows among 9,990 rows (email 40, phone 12), not replaced: a model can learn it by heart.",
        "85% of the training rows carry refund: always answering it would be right as often.",
        "1 label of the test rows has no training row (unseen 6): these can't be learnt.",
        "2 labels have fewer than 10 training rows (rare 5, untested 5).",
        "1 label has no test row (untested): no figure speaks of them.",
        "89 labels look wrong, of 8,900 judged; decide in review.csv.",
        "60 rows nearly repeat another: a set of templates counts for less than its rows.",
        "31 rows are longer than 256 tokens and would be cut.",
        "The stage filter dropped 10% of the rows that reached it, mostly “too short”.",
        "10 lines could not be read (not valid JSON 7, no text 3): see quarantine.jsonl.",
        "The commonest label has 1,200 times the rows of the rarest.",
        "2 of 12 clusters of inputs have no train row.",
        "150 test rows show a gain of 10.2 points and more, four times in five; a smaller one would be missed.",
        "Rules that only count found rows worth a look: refusal 14.",
    ]
    weights = [pointer.weight for pointer in first_to_look(FAKES.whole())]
    assert weights == sorted(weights, reverse=True)


def test_personal_data_that_was_replaced_is_no_worry() -> None:
    found = {"looked": 100, "rows": 40, "kinds": {"email": 40}}
    assert len(told(with_findings(personal=found))) == 1
    assert told(with_findings(personal=found | {"replaced": True})) == []
    pieces = told(with_findings(personal={"looked": 100, "kinds": {"email": 40}}))
    assert pieces == ["40 pieces of personal data among 100 rows (email 40), not replaced: a model can learn it by heart."]


def test_thresholds_hold_at_their_very_edge() -> None:
    report = FAKES.clean()
    report["waterfall"][0] |= {"stage": "filter", "kept": 95, "dropped": 5, "reasons": {"too short": 5}}
    assert len(told(report)) == 1
    report["waterfall"][0] |= {"kept": 96, "dropped": 4, "reasons": {"too short": 4}}
    assert told(report) == []
    assert told(with_findings(split={"test_rows": 600, "smallest_gain": 0.05})) == []
    assert len(told(with_findings(split={"test_rows": 590, "smallest_gain": 0.051}))) == 1
    few = FAKES.clean()
    few["labels"]["train"] = {"refund": 1000, "address": 1000, "rare": 9}
    few["labels"]["test"] |= {"rare": 500}
    assert len(told(few)) == 1
    few["labels"]["train"]["rare"] = 10
    assert told(few) == []


def test_a_set_of_one_label_is_told_and_a_set_of_many_labels_a_row_is_not() -> None:
    report = FAKES.clean()
    report["labels"] = {"train": {"refund": 2000}}
    assert told(report) == ["Every training row carries one label, refund: there is nothing to tell apart."]
    report["labels"] = {"train": {"refund": 1990, "address": 300}}  # more labels than rows: some carry both
    assert told(report) == []


def test_no_test_rows_is_told() -> None:
    report = FAKES.clean() | {"sides": {"train": 100, "test": 0}, "labels": None}
    assert told(report) == ["There is no test row: nothing can be said of the model."]


def test_of_many_findings_of_an_audit_five_are_told_and_the_rest_counted() -> None:
    findings = [{"what": "x", "sentence": f"Finding {number}."} for number in range(9)]
    assert told(with_findings(audit={"findings": findings})) == [*(f"Finding {n}." for n in range(5)), "4 more findings of the bias audit."]


def test_the_waterfall_adds_up_and_shows_one_row_of_a_million() -> None:
    report = read_data_report(FAKES.whole())
    rows = {row.name: row for row in waterfall(report)}
    assert (rows["filter"].came, rows["filter"].dropped, rows["filter"].left) == ("9,990", "1,000", "8,990")
    assert (rows["augment"].came, rows["augment"].added, rows["augment"].left) == ("8,900", "200", "9,100")
    for row in rows.values():
        assert sum((row.bar.kept, row.bar.changed, row.bar.dropped, row.bar.added)) <= 100.05
    one = FAKES.clean()
    one["waterfall"] = [{"stage": "filter", "kept": 999_999, "dropped": 1, "reasons": {"too short": 1}}]
    (row,) = waterfall(read_data_report(one))
    assert row.bar.dropped == 0.4
    assert row.bar.kept + row.bar.dropped == pytest.approx(100)


def test_a_headline_without_sides_tells_what_was_read() -> None:
    report = FAKES.clean()
    assert headline(read_data_report(report | {"sides": None})) == "4,000 rows read."
    assert headline(read_data_report(FAKES.bare())) == ""
    assert headline(read_data_report(report | {"waterfall": None})).startswith("4,000 rows: 2,000 to train on")


def test_samples_are_one_of_each_reason_first_and_bounded() -> None:
    report = FAKES.whole()
    report["samples"] = [FAKES._sample("filter", f"reason {n % 3}", f"text {n}", None) for n in range(30)]
    (stage,) = [stage for stage in stages(read_data_report(report)) if stage.name == "filter"]
    assert [one.reason for one in (*stage.shown, *stage.folded)] == [f"reason {n % 3}" for n in range(SAMPLES_OF_STAGE)]
    huge = stages(read_data_report(FAKES.huge()))
    assert sum(len(stage.shown) + len(stage.folded) for stage in huge) == SAMPLES


def test_a_part_that_stayed_the_same_is_shown_once() -> None:
    page = Page(data_card(FAKES.whole()))
    assert "Prompt, before" in page.text
    assert "Answer, unchanged" in page.text
    assert "Answer, after" not in page.text


def test_what_differs_is_marked_by_the_character() -> None:
    old, new = side_by_side("a cafÃ© au  lait", "a café au lait", 400)
    assert str(old.text) == "a caf<del>Ã©</del> au<del>·</del> lait"
    assert str(new.text) == "a caf<ins>é</ins> au lait"
    old, new = side_by_side("red", "blue whale", 400)
    assert (str(old.text), str(new.text)) == ("<del>red</del>", "<ins>blue·whale</ins>")


def test_blanks_line_ends_and_hidden_characters_that_changed_can_be_seen() -> None:
    old, new = side_by_side("a\r\nb\u200b\u00a0c\td", "a\nb c d", 400)
    for shown in ("⟨U+000D⟩", "⟨U+200B⟩", "⟨U+00A0⟩", "⇥"):
        assert shown in old.text
    assert "·" in new.text
    composed, apart = side_by_side("\u00e9", "e\u0301", 400)
    assert str(composed.text) == "<del>é</del>"
    assert str(apart.text) == "<ins>e⟨U+0301⟩</ins>"


def test_long_texts_are_cut_around_the_first_difference() -> None:
    old, new = side_by_side("x" * 5000 + " wrong " + "y" * 5000, "x" * 5000 + " right " + "y" * 5000, 300)
    assert (old.before, new.before) == (4941, 4941)
    assert old.before + 300 + old.after == 10_007
    assert "<del>" in old.text
    assert "<ins>" in new.text


@given(STRANGE, STRANGE)
def test_marking_loses_no_letter_and_lets_nothing_through(before: str, after: str) -> None:
    for shown, original, tag in zip(side_by_side(before, after, 400), (before, after), ("del", "ins"), strict=True):
        bare = re.sub(f"</?{tag}>", "", str(shown.text))
        assert "<" not in bare
        letters = iter(unescape(bare))
        assert all(letter in letters for letter in original if letter.isascii() and letter.isalnum())
        hidden = {c for c in bare if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(c) in ("RLO", "LRO")}
        assert hidden <= {"\n"}
        if before == after:
            assert f"<{tag}>" not in shown.text


def test_labels_are_capped_with_the_rarest_kept_in_sight() -> None:
    report = FAKES.clean()
    report["labels"] = {"train": {f"label {number:05d}": 10_000 - number for number in range(10_000)}}
    view = classes(read_data_report(report))
    assert view is not None
    assert len(view.rows) == 41
    assert view.rows[28].gap == f"and 9,960 more labels, {sum(10_000 - n for n in range(28, 9988)):,} rows"
    assert view.rows[-1].name == "label 09999"
    assert view.rows[0].cells[0].percent == 100


def test_shares_of_a_label_are_on_one_scale_across_sides() -> None:
    view = classes(read_data_report(FAKES.whole()))
    assert view is not None
    refund = view.rows[0]
    assert refund.name == "refund"
    assert [cell.rows for cell in refund.cells] == ["6,000", "400", "400", "800"]
    assert refund.cells[0].percent == 100
    assert refund.cells[1].percent == pytest.approx(100 * 0.8 / (6000 / 7100), abs=0.1)


def test_lengths_are_read_in_both_forms() -> None:
    direct = FAKES.whole()
    shared = FAKES.whole()
    held = direct["findings"]["lengths"]["train"]["shown"]
    shared["findings"]["lengths"] = {
        "edges": held["edges"],
        "quantiles": [0.0, 0.5, 1.0],
        "sides": {side: {of: {"counts": held["counts"], "quantiles": [1, 88, 900]} for of in ("shown", "asked")} for side in FAKES.SIDES},
    }
    assert lengths(read_data_report(direct)) == lengths(read_data_report(shared))
    assert [heading for heading, _ in lengths(read_data_report(direct))] == ["What is shown to the model", "What it should answer"]
    direct["findings"]["lengths"] = {"train": {"shown": {"edges": [0, 1], "counts": [1, 2, 3]}}}
    with pytest.raises(MachineError, match="3 counts need as many edges"):
        data_card(direct)


def test_hostile_rows_are_harmless() -> None:
    page = Page(data_card(FAKES.hostile()))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "form"}
    assert sum(tag == "style" for tag, _ in page.tags) == 1
    assert not [held for _, held in page.tags for name in held if name.startswith("on")]
    for tag, held in page.tags:
        assert "src" not in held
        address = held.get("href")
        assert address is None or address.startswith("#") or (tag == "link" and address == "data:,")
    assert "document.title='owned'" in page.text
    hidden = {
        c
        for c in "".join(page.texts)
        if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(c) in ("RLO", "LRI")
    }
    assert hidden <= {"\n"}
    policy = next(held["content"] for tag, held in page.tags if held.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


@given(STRANGE)
def test_any_text_anywhere_leaves_a_page_of_the_same_shape(text: str) -> None:
    report = FAKES.whole()
    report["dataset"]["path"] = text
    report["samples"][0]["before"]["prompt"] = text
    report["notes"] = [text]
    report["labels"]["train"][text] = 50
    page = Page(data_card(report))
    assert page.sections()[-1] == "look"
    assert "script" not in {tag for tag, _ in page.tags}


def test_the_page_stays_small_whatever_the_rows() -> None:
    page = data_card(FAKES.huge())
    assert len(page.encode()) < 2_000_000
    assert Page(page).sections()[-1] == "look"


def test_report_and_page_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    report = FAKES.whole()
    report["findings"]["split"]["smallest_gain"] = math.nan
    del report["schema"]
    path = write_data_card(report, tmp_path)
    assert path == tmp_path / "report.html"
    held = json.loads((tmp_path / "report.json").read_text())
    assert held["schema"] == 1
    assert held["findings"]["split"]["smallest_gain"] is None
    assert data_card(held) == path.read_text(encoding="utf-8")
    with pytest.raises(MachineError):
        write_data_card({"dataset": {"id": 3}}, tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"schema": 2, "dataset": {}}, "schema 2"),
        ({"schema": True, "dataset": {}}, "schema True"),
        ({}, "field 'dataset'"),
        ({"dataset": {}, "waterfall": [{"kept": 1}]}, r"field 'waterfall\.0\.stage'"),
        ({"dataset": {}, "sides": {"train": "many"}}, r"field 'sides\.train'"),
        ({"dataset": {}, "findings": {"near": {"clusters": 3}}}, r"field 'findings\.near\.clusters'"),
        ([], "schema None"),
    ],
)
def test_another_form_is_refused_in_one_sentence(report: Any, words: str) -> None:
    with pytest.raises(MachineError, match=words):
        data_card(report)


def test_the_same_report_gives_the_same_page() -> None:
    assert data_card(FAKES.whole()) == data_card(FAKES.whole())
