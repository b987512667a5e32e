"""The embedded general text holds what its README says: short plain documents of several kinds, and questions with one right answer."""

import json
from collections import Counter
from typing import Any

from tunesmith.data.anonymise import find
from tunesmith.embedded import general_path, probes_path


def lines(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_documents_are_short_plain_and_of_the_stated_kinds() -> None:
    documents = lines(general_path())
    told = (general_path().parent / "README.md").read_text(encoding="utf-8")
    counts = Counter(one["kind"] for one in documents)
    assert len(documents) == 61
    assert all(f"{kind} ({count})" in told for kind, count in counts.items())
    assert all(80 <= len(one["text"].split()) <= 150 for one in documents)
    assert all(one["text"] == one["text"].strip() and one["text"].isascii() for one in documents)
    assert len({one["text"][:40] for one in documents}) == 61


def test_probes_have_four_different_answers_and_the_right_one_in_every_place() -> None:
    probes = lines(probes_path())
    assert len(probes) == len({one["question"] for one in probes}) == 62
    assert all(len(one["choices"]) == len({text.casefold() for text in one["choices"]} - {""}) == 4 for one in probes)
    places = Counter(one["choices"].index(one["answer"]) for one in probes)
    assert sorted(places.values()) == [15, 15, 16, 16]
    assert all(one["question"].endswith("?") for one in probes)


def test_nobody_can_be_reached_by_what_is_written() -> None:
    kinds = {finding.kind for one in lines(general_path()) for finding in find(one["text"])}
    assert not kinds & {"email", "phone", "card", "iban", "id", "ip", "url", "birth_date", "secret", "address"}
