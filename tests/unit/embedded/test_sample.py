"""The embedded sample holds what its README says: made from its seed byte for byte, dirty by the stated counts, not cheaply solved."""

import importlib
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunesmith.embedded import base_path, sample_path

MAKER = Path(__file__).resolve().parents[3] / "examples" / "sample"
RESERVED_HOST = re.compile(r"(example\.(com|org|net)|[a-z]+\.example)")
PHONE = re.compile(r"\+?\d[\d \-]{6,}\d")
DRAMA_PHONE = re.compile(r"01632 960\d{3}|07700 900\d{3}|\+44 7700 900 \d{3}|555-01\d{2}")


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script itself, imported from its folder, where its sibling module lies."""
    sys.path.insert(0, str(MAKER))
    try:
        return importlib.import_module("make_sample")
    finally:
        sys.path.remove(str(MAKER))


@pytest.fixture(scope="module")
def tickets(maker: ModuleType) -> list[Any]:
    return list(maker.build())


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return sample_path().read_text(encoding="utf-8").splitlines()


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def by_fault(tickets: list[Any], fault: str) -> list[Any]:
    return [ticket for ticket in tickets if ticket.fault == fault]


def test_paths_lie_in_the_package() -> None:
    assert sample_path().is_file()
    assert sample_path().parent.parent == base_path().parent
    assert base_path().name == "base"


def test_the_script_makes_the_file_byte_for_byte(maker: ModuleType, tickets: list[Any]) -> None:
    assert maker.render(tickets) == sample_path().read_bytes()


def test_another_seed_makes_other_rows(maker: ModuleType, tickets: list[Any]) -> None:
    assert maker.build(seed=maker.SEED + 1) != tickets


def test_every_line_is_a_ticket_or_a_planted_broken_one(lines: list[str], tickets: list[Any]) -> None:
    rows = parsed(lines)
    assert len(lines) == 2000
    assert len(rows) == len(tickets) == 1988
    assert len(lines) - len(rows) == 12 < 0.01 * len(lines)
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(set(row) == {"id", "message", "intent", "template", "channel", "received", "reply"} for row in rows)


def test_the_planted_faults_are_there_by_count(maker: ModuleType, tickets: list[Any]) -> None:
    assert Counter(ticket.fault for ticket in tickets if ticket.fault) == maker.DIRT


def test_duplicates_are_exactly_those_planted(maker: ModuleType, lines: list[str]) -> None:
    messages = [row["message"] for row in parsed(lines) if (row["message"] or "").strip()]
    repeats = len(messages) - len({maker.fold(message) for message in messages})
    assert repeats == maker.DIRT["exact duplicate"] + maker.DIRT["conflicting duplicate"]


def test_conflicting_duplicates_contradict_their_originals(maker: ModuleType, lines: list[str]) -> None:
    intents = defaultdict(set)
    for row in parsed(lines):
        if (row["message"] or "").strip():
            intents[maker.fold(row["message"])].add(row["intent"])
    assert sum(len(found) > 1 for found in intents.values()) == maker.DIRT["conflicting duplicate"]


def test_near_duplicates_are_near(tickets: list[Any]) -> None:
    from difflib import SequenceMatcher

    originals = defaultdict(list)
    for ticket in tickets:
        if not ticket.fault:
            originals[ticket.template].append(ticket.clean)
    for ticket in by_fault(tickets, "near duplicate"):
        nearest = max(SequenceMatcher(None, ticket.clean, original, autojunk=False).ratio() for original in originals[ticket.template])
        assert 0.6 < nearest < 1.0, ticket.clean


def test_broken_encodings_are_those_planted_and_ftfy_mends_them(tickets: list[Any]) -> None:
    ftfy = pytest.importorskip("ftfy")
    for ticket in by_fault(tickets, "mojibake"):
        assert ticket.message != ticket.clean
        assert ftfy.fix_text(ticket.message, uncurl_quotes=False) == ticket.clean
    for ticket in tickets:
        if ticket.fault not in ("mojibake", "missing message"):
            assert ftfy.fix_text(ticket.message, uncurl_quotes=False) == ticket.message


def test_missing_values_are_those_planted(maker: ModuleType, lines: list[str]) -> None:
    rows = parsed(lines)
    assert sum(not (row["message"] or "").strip() for row in rows) == maker.DIRT["missing message"]
    assert sum(not row["intent"] for row in rows) == maker.DIRT["missing intent"]
    assert sum(row["message"] is None for row in rows) > 0
    assert sum(row["message"] == "" for row in rows) > 0


def test_wrong_labels_are_two_to_three_in_a_hundred(tickets: list[Any]) -> None:
    wrong = [ticket for ticket in tickets if ticket.intent and ticket.intent != ticket.true_intent]
    assert {ticket.fault for ticket in wrong} == {"wrong label", "conflicting duplicate"}
    assert 0.02 <= len(wrong) / len(tickets) <= 0.03


def test_a_template_belongs_to_one_intent_save_for_wrong_labels(tickets: list[Any]) -> None:
    truth = defaultdict(set)
    told = defaultdict(set)
    for ticket in tickets:
        truth[ticket.template].add(ticket.true_intent)
        if ticket.intent and ticket.intent == ticket.true_intent:
            told[ticket.template].add(ticket.intent)
    assert all(len(intents) == 1 for intents in truth.values())
    assert all(len(intents) == 1 for intents in told.values())


def test_templates_are_many_for_every_intent(maker: ModuleType, tickets: list[Any]) -> None:
    templates = defaultdict(set)
    for ticket in tickets:
        templates[ticket.true_intent].add(ticket.template)
    assert set(templates) == set(maker.INTENTS)
    assert min(map(len, templates.values())) >= 25
    assert sum(map(len, templates.values())) >= 900
    assert all(len(maker.written_templates(intent)) >= 20 for intent in maker.INTENTS)


def test_classes_are_skewed_about_six_to_one(tickets: list[Any]) -> None:
    counts = Counter(ticket.intent for ticket in tickets if ticket.intent)
    assert 10 <= len(counts) <= 14
    assert 5.0 <= max(counts.values()) / min(counts.values()) <= 7.0


def test_personal_data_is_there_and_belongs_to_nobody(tickets: list[Any]) -> None:
    text = "\n".join(ticket.clean for ticket in tickets)
    hosts = re.findall(r"@([\w.-]+\w)", text)
    phones = PHONE.findall(text)
    assert len(hosts) > 50
    assert all(RESERVED_HOST.fullmatch(host.lower()) for host in hosts)
    assert len(phones) > 50
    assert all(DRAMA_PHONE.fullmatch(phone) for phone in phones)
    assert len(re.findall(r"mg-\d{5}", text.lower())) > 20


def test_no_slot_is_left_open(tickets: list[Any]) -> None:
    assert not [ticket.clean for ticket in tickets if "{" in ticket.clean or "}" in ticket.clean]


def test_rows_hold_no_control_characters(lines: list[str]) -> None:
    assert all(line.isprintable() for line in lines)


def test_a_bag_of_words_does_not_solve_it(maker: ModuleType, tickets: list[Any]) -> None:
    """TF-IDF with logistic regression stays under 75% on templates it has not seen, and well above the largest class."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    linear = pytest.importorskip("sklearn.linear_model")
    selection = pytest.importorskip("sklearn.model_selection")
    kept = [ticket for ticket in tickets if ticket.intent and ticket.fault not in ("exact duplicate", "conflicting duplicate")]
    messages, intents = [ticket.clean for ticket in kept], [ticket.intent for ticket in kept]
    splitter = selection.GroupShuffleSplit(1, test_size=0.15, random_state=1)
    train, test = next(splitter.split(messages, intents, [ticket.template for ticket in kept]))
    vectors = text.TfidfVectorizer(sublinear_tf=True)
    model = linear.LogisticRegression(C=10.0, max_iter=100)
    model.fit(vectors.fit_transform([messages[i] for i in train]), [intents[i] for i in train])
    accuracy = model.score(vectors.transform([messages[i] for i in test]), [intents[i] for i in test])
    assert 0.35 < accuracy < 0.75
