"""Every line read is kept, changed or dropped, with a reason; the counts of every stage add up, whatever the rows are like."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError
from tunesmith.data.config import DataConfig
from tunesmith.data.dataset import Prepared
from tunesmith.data.prepare import prepare

TEXT = st.text(alphabet="abc \n\x07é", max_size=6)
LINE = st.one_of(
    st.builds(
        lambda text, label, group: json.dumps({"text": text, "label": label, "group": group}),
        TEXT,
        st.sampled_from("xyz"),
        st.integers(0, 9),
    ),
    st.builds(lambda number: json.dumps({"text": f"row {number}", "label": "xyz"[number % 3], "group": number}), st.integers(0, 10**6)),
    st.sampled_from(
        ['{"text": "cut', "[]", "null", '{"text": "no label"}', '{"label": "x"}', '{"text": ["list"], "label": "x"}', '{"text": NaN}']
    ),
)


def account_is_whole(made: Prepared, lines: int) -> None:
    """What the waterfall, the outcomes, the quarantine and the sides say must be one story."""
    stages = made.dataset.waterfall
    assert stages[0]["stage"] == "read"
    assert stages[0]["kept"] + stages[0]["dropped"] == lines
    for before, after in pairwise(stages):
        assert after["kept"] + after["dropped"] == before["kept"], after
    for stage in stages:
        assert sum(stage["reasons"].values()) == stage["dropped"]
        assert sum(stage["changes"].values()) == stage["changed"] <= stage["kept"]
    counts = made.dataset.counts()
    assert sum(counts.values()) == stages[-1]["kept"]
    fates = Counter(outcome["fate"] for outcome in made.outcomes)
    assert fates.total() == lines
    assert {side: fates[side] for side in counts} == counts
    assert fates["quarantined"] == len(made.quarantine) == stages[0]["dropped"]
    assert all(outcome["reason"] for outcome in made.outcomes if outcome["fate"] in ("dropped", "quarantined"))
    ids = [outcome["id"] for outcome in made.outcomes if outcome["id"] is not None]
    assert len(set(ids)) == len(ids)


def written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


ENOUGH = [json.dumps({"text": f"sure {number}", "label": "xyz"[number % 3], "group": 100 + number}) for number in range(60)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(LINE, max_size=60),
    st.lists(LINE, max_size=20),
    st.fixed_dictionaries(
        {},
        optional={
            "rows": st.integers(1, 50),
            "rows_per_label": st.integers(1, 9),
            "test_rows": st.integers(1, 9),
            "instruction": st.just("Sort."),
            "dedup": st.fixed_dictionaries({"conflicts": st.sampled_from(["keep", "drop"]), "exact": st.booleans()}),
            "split": st.fixed_dictionaries({"by": st.just("group")}),
        },
    ),
    st.sampled_from([(), ("test_path",), ("validation_path",), ("test_path", "validation_path")]),
)
def test_the_account_is_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], others: list[str], config: dict[str, Any], supplied: tuple[str, ...]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    files = {"path": [*ENOUGH[:30], *lines, *ENOUGH[30:]]}
    for number, name in enumerate(supplied):
        files[name] = [
            *others,
            *(line.replace("sure", f"other {number}").replace('"group": 1', f'"group": {number + 5}1') for line in ENOUGH),
        ]
    paths = {name: written(folder / f"{name}.jsonl", held) for name, held in files.items()}
    try:
        made = prepare(DataConfig(**paths, **config, read={"bad_lines": 1.0}), seed=3)
    except DataError as error:
        assert "too few" in str(error), error
        return
    account_is_whole(made, sum(len(held) for held in files.values()))


def test_the_sample_is_accounted_for() -> None:
    from tunesmith.embedded import sample_path

    if not sample_path().is_file():
        pytest.skip("the embedded sample is not there")
    lines = sum(1 for line in sample_path().open("rb") if line.strip())
    account_is_whole(prepare(DataConfig(path="sample"), 0), lines)
