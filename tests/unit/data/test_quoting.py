"""Labels in errors: those people gave stay readable, and what is personal in them is not told."""

import pytest

from tunesmith.core.errors import DataError
from tunesmith.core.rows import Message, Row
from tunesmith.data.config import Task
from tunesmith.data.filter import FilterCount, rules_of
from tunesmith.data.quoting import nearest_label, shown_label
from tunesmith.data.settings.filter import FilterConfig


@pytest.mark.parametrize(
    "label",
    [
        "late parcel",
        "card_arrival",
        "Refund_not_showing_up",
        "Sci/Tech",
        "comp.os.ms-windows.misc",
        "B-PER",
        "1.5",
        "Type 2 diabetes",
        "日本語",
    ],
)
def test_labels_stay_readable(label: str) -> None:
    assert shown_label(label) == label


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("ada.lovelace@example.com", "[EMAIL]"),
        ("ask ada@shop.org now", "ask [EMAIL] now"),
        ("GB29NWBK60161331926819", "[IBAN]"),
        ("a" * 35 + " ada.lovelace@example.com", "a" * 35 + " [EMAIL]"),
        ("\x1b[31mred", "?[31mred"),
        ("x" * 10_000, "x" * 60),
    ],
)
def test_what_is_personal_or_prints_nothing_is_not_shown(label: str, shown: str) -> None:
    assert shown_label(label) == shown


def test_a_column_of_addresses_taken_for_labels_tells_none_of_them() -> None:
    count = FilterCount(FilterConfig(), Task.CLASSIFY, ("x", "y"))
    for number in range(40):
        count.add(Row(id=str(number), prompt=(Message("user", f"message {number}"),), answer=f"someone.{number % 7}@shop.org"))
    count.add(Row(id="last", prompt=(Message("user", "message"),), answer="late parcel"))
    with pytest.raises(DataError) as refused:
        rules_of(FilterConfig(), Task.CLASSIFY, count.result(), ("x", "y"))
    assert "shop" not in str(refused.value) and "someone" not in str(refused.value)
    assert "'[EMAIL]' (6 rows; nearest: 'x')" in str(refused.value)
    assert "and 3 more" in str(refused.value)


def test_the_labels_one_may_have_meant_are_masked_too() -> None:
    assert nearest_label("lat parcel", ["late parcel", "broken"]) == " Did you mean 'late parcel'?"
    assert nearest_label("ada@shop.orh", ["ada@shop.org", "late"]) == " Known: [EMAIL], late."
