"""The page holds what the report holds, in its order; leaves out what isn't there; and nothing in a row can act."""

import json
import math
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.report.card import card, compare_card, write_card
from tunesmith.report.curves import thinned
from tunesmith.report.mistakes import HEAT_LABELS
from tunesmith.report.shape import Report, Step, finite, read_report


class Page(HTMLParser):
    """The tags and texts of a page, as a browser would take them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for tag, attributes in self.tags if tag == "section"]


@pytest.fixture(scope="module")
def pages(fakes: ModuleType) -> dict[str, str]:
    return {name: card(getattr(fakes, name)()) for name in ("gain", "no_gain", "generation", "hostile")}


def test_a_gain_in_order(pages: dict[str, str]) -> None:
    page = Page(pages["gain"])
    assert page.ids() == ["comparison", "notes", "training", "sure", "slices", "lost", "data", "few-shot", "confusion", "errors", "run"]
    for told in (
        "21 November 2026, 02:00 UTC",
        "a gain of 27.3 points",
        "78.0 to 86.6",
        "+27.3 points",
        "+21.8 to +32.8",
        "301.4",
        "One-sided p\u00a0<\u00a00.001, exact McNemar, 300 test rows".replace("\u00a0", " "),
        "chosen: step 198",
        "validation loss had not fallen for 3 evaluations",
        "60% of the work saved, 2.5 times fewer",
        "6 not valid JSON",
        "20 errors to read",
        "learning_rate: 6e-4",
        "3 min 32 s",
        "1.39 GiB",
        "d4" * 32,
    ):
        assert told in page.text, told
    assert page.text.index("Gain shown") < page.text.index("The comparison")


def test_no_gain_says_so_and_warns(pages: dict[str, str]) -> None:
    page = Page(pages["no_gain"])
    assert "No gain shown" in page.text
    assert "few-shot" not in page.ids()
    assert "opened 11 times" in page.text
    assert "12 rows were cut" in page.text
    assert "mean of 6 steps" in page.text
    assert "and each was computed" in page.text
    assert not any(tag == "table" and attributes.get("class") == "heat" for tag, attributes in page.tags)
    assert "of 924 rows were answered right" in pages["no_gain"]


def test_generation_has_no_labels_and_marks_the_least_perplexity(pages: dict[str, str]) -> None:
    page = Page(pages["generation"])
    assert page.ids() == ["comparison", "notes", "training", "lost", "data", "few-shot", "errors", "run"]
    assert "Perplexity less is better" in page.text
    assert '<span class="best">6.1</span>' in pages["generation"]


def test_a_report_with_nothing_but_an_id_still_makes_a_page() -> None:
    page = Page(card({"schema": 1, "round": {"id": "r-0"}}))
    assert page.ids() == ["run"]
    nulls = dict.fromkeys(("verdict", "systems", "few_shot", "data", "training", "confusion", "errors", "recipe", "warnings"))
    assert Page(card({"schema": 1, "round": {"id": "r-0"}, **nulls})).ids() == ["run"]


def test_figures_and_words_of_training_where_there_are_any(fakes: ModuleType) -> None:
    report = fakes.gain()
    assert "rows/s" not in Page(card(report)).text
    report["training"] |= {
        "throughput": {"rows_per_second": 31.24, "row_tokens_per_second": 4000.2, "computed_tokens_per_second": 1520.4, "saved": 0.62},
        "mfu": 0.413,
        "peak_mib": 1423.0,
        "words": ["Validation loss has risen for 3 evaluations (1.21 to 1.30) while training loss fell 18%: stopping, keeping step 198."],
    }
    page = Page(card(report))
    for told in (
        "31.2 rows/s, 1,520 tokens/s computed",
        "Tokens saved 62%",
        "MFU) 41%",
        "Peak memory, training 1.39 GiB",
        "fell 18%: stopping",
    ):
        assert told in page.text, told
    assert "Training stopped because" not in page.text
    report["training"] |= {"throughput": {"rows_per_second": None, "saved": -0.1}, "mfu": None, "peak_mib": None, "words": None}
    page = Page(card(report))
    assert "rows/s" not in page.text
    assert "Training stopped because" in page.text


def test_what_a_run_was_held_to_is_told(fakes: ModuleType) -> None:
    report = fakes.gain()
    absent = ("Objective", "Learning rate, at its peak", "Arithmetic", "was chosen by", "were computed once.")
    assert [told for told in absent if told in Page(card(report)).text] == []
    settings = {"objective": "class", "learning_rate": 6e-4, "precision": "bf16", "threads": 2, "share_prefixes": True}
    report["training"] |= settings | {"chosen_by": "macro_f1", "chosen_step": 198}
    told = Page(card(report)).text
    for fact in ("Objective class", "Learning rate, at its peak 0.0006", "Arithmetic bf16, 2 threads"):
        assert fact in told, fact
    assert "Step 198 was chosen by macro F1 on the rows set aside to select by. Prompts that rows share were computed once." in told
    report["training"] |= {"chosen_by": "loss", "share_prefixes": False, "threads": 1}
    told = Page(card(report)).text
    assert "Step 198 was chosen by validation loss. Each row was computed by itself." in told
    assert "bf16, 1 thread" in told
    report["training"]["validation"] = []
    assert "was chosen by" not in Page(card(report)).text


@pytest.mark.parametrize("step", [0, 132, 198, 242, 264])
def test_the_legend_stands_clear_of_the_chosen_step(fakes: ModuleType, step: int) -> None:
    """Wherever the chosen step is, the legend lies above its line and above its words."""
    from tunesmith.report.curves import loss_chart

    report = fakes.gain()
    report["training"]["chosen_step"] = step
    held = read_report(report).training
    assert held is not None
    chart = str(loss_chart(held))
    heights = {word: _height_of(chart, word) for word in ("Training", "Validation", f"chosen: step {step}")}
    assert max(heights["Training"], heights["Validation"]) + 12 < heights[f"chosen: step {step}"]


def _height_of(svg: str, word: str) -> float:
    """Where a text of a chart stands, in pixels from the chart's top: the sum of the shifts around it."""
    stack: list[float] = []
    for tag in re.finditer(r"<(/?)(\w+)([^>]*?)(/?)>([^<]*)", svg):
        closing, _, attributes, empty, text = tag.groups()
        if closing:
            stack.pop()
            continue
        moved = re.search(r"translate\([-\d.]+,\s*([-\d.]+)\)", attributes)
        stack.append(float(moved.group(1)) if moved else 0.0)
        if text == word:
            return sum(stack)
        if empty:
            stack.pop()
    raise AssertionError(f"{word} is not in the chart")


def test_pieces_may_be_unknown(fakes: ModuleType) -> None:
    report = fakes.gain()
    report["systems"][0].update(prompt_tokens=None, seconds_per_answer=None, against=None)
    report["systems"][1]["metrics"]["accuracy"] = {"value": None, "low": None, "high": None}
    report["systems"][2]["metrics"]["macro_f1"] = None
    report["training"].update(steps=[], chosen_step=None, tokens_computed=None)
    page = Page(card(report))
    assert "Base, zero-shot" in page.text
    report["training"]["validation"] = [{"step": 0, "loss": None}]
    assert "Loss, nats a token" not in card(report)


@pytest.mark.parametrize("labels", [1, 2, HEAT_LABELS, HEAT_LABELS + 1])
def test_confusion_by_number_of_labels(fakes: ModuleType, labels: int) -> None:
    report = {
        "schema": 1,
        "round": {"id": "r-0"},
        "confusion": fakes.confusion([f"label {index}" for index in range(labels)], 5, 0.6),
    }
    page = Page(card(report))
    assert any(tag == "table" and attributes.get("class") == "heat" for tag, attributes in page.tags) == (labels <= HEAT_LABELS)


def test_nothing_in_a_row_can_act(pages: dict[str, str]) -> None:
    page = Page(pages["hostile"])
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "image", "foreignobject", "base"}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("href", "src", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, attributes)
    assert sum(tag == "link" for tag in [tag for tag, _ in page.tags]) == 1
    assert sum(tag == "style" for tag in [tag for tag, _ in page.tags]) == 1
    assert "</script><script>document.title='owned'</script>" in page.text
    assert "refund⟨U+202E⟩drawer" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\u202e" not in pages["hostile"]
    assert "\x1b" not in pages["hostile"]
    pages["hostile"].encode("utf-8")


def test_every_page_is_self_contained(pages: dict[str, str]) -> None:
    for name, html in pages.items():
        page = Page(html)
        policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert policy.startswith("default-src 'none'"), name
        assert "script-src" not in policy
        assert "@import" not in html
        assert "@font-face" not in html
        charts = [attributes for tag, attributes in page.tags if tag == "svg"]
        assert charts
        assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts), name
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids)), name


def test_written_whole_and_read_back(fakes: ModuleType, tmp_path: Path) -> None:
    report = fakes.gain()
    report["training"]["steps"][3]["loss"] = math.nan
    report["training"]["validation"][1]["loss"] = math.inf
    path = write_card(report, tmp_path / "r-1" / "report")
    assert path.name == "report.html"
    assert sorted(file.name for file in path.parent.iterdir()) == ["report.html", "report.json"]
    held = json.loads((path.parent / "report.json").read_text(encoding="utf-8"))
    assert held == finite(report)
    assert held["training"]["steps"][3]["loss"] is None
    assert path.read_text(encoding="utf-8") == card(held)


def test_a_bad_report_leaves_an_earlier_card_as_it_was(fakes: ModuleType, tmp_path: Path) -> None:
    path = write_card(fakes.gain(), tmp_path)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(MachineError):
        write_card({**fakes.gain(), "schema": 2}, tmp_path)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema 2, this tunesmith reads schema 1"),
        ({"schema": "1"}, "schema '1'"),
        ({"schema": True}, "schema True"),
        ({"schema": None}, "no field 'schema'"),
        ({"systems": "many"}, "'systems'"),
        ({"systems": [{"key": "tuned", "metrics": {"accuracy": {"value": "high"}}}]}, "systems.0.metrics.accuracy.value"),
        ({"confusion": {"labels": ["a", "b"], "counts": [[1]]}}, "2 rows of 2 numbers"),
        ({"round": {}}, "round.id"),
    ],
)
def test_a_report_of_another_form_is_refused_in_one_sentence(fakes: ModuleType, change: dict[str, Any], said: str) -> None:
    with pytest.raises(MachineError, match=said.replace("(", r"\(")):
        card({**fakes.gain(), **change})


def test_unknown_fields_are_ignored(fakes: ModuleType) -> None:
    report = {**fakes.gain(), "later": 1}
    report["round"]["colour"] = "blue"
    assert isinstance(read_report(report), Report)


def test_several_rounds(fakes: ModuleType) -> None:
    html = compare_card([fakes.gain(), fakes.no_gain(), fakes.generation(), fakes.hostile()])
    page = Page(html)
    assert "4 rounds compared" in page.text
    assert "different data" in page.text
    assert "judged by different measures (Accuracy, ROUGE-L)" in page.text
    assert "against Base, 8 examples" in page.text
    assert not any(tag == "script" for tag, _ in page.tags)


def test_where_recipes_differ(fakes: ModuleType) -> None:
    page = Page(compare_card([fakes.gain(), fakes.no_gain()]))
    assert page.ids() == ["verdicts", "comparison", "beside", "curves", "recipes"]
    assert "method.rank not set 16" in page.text
    assert "data.path" not in page.text
    same = Page(compare_card([fakes.gain(), fakes.gain()]))
    assert "recipes" not in same.ids()
    assert "different data" not in same.text


def test_rounds_against_one_another_and_what_stands_beside_their_scores(fakes: ModuleType) -> None:
    first, second = fakes.gain(), fakes.gain() | {"overfitting": {"outcome": "earlier kept"}, "memorisation": {"alarm": True}}
    second["forgetting"] = second["forgetting"] | {"outcome": "forgot"}
    pairs = [
        {
            "first": "r-1",
            "second": "r-2",
            "difference": -0.031,
            "low": -0.05,
            "high": -0.01,
            "p_corrected": 0.004,
            "better": "r-2",
            "rows": 300,
        },
        {"first": "r-1", "second": "r-3", "difference": 0.01, "low": -0.01, "high": 0.03, "p_corrected": 0.4, "better": None, "rows": 300},
        {"first": "r-2", "second": "<b>r-4", "why_not": "they answered different test rows"},
    ]
    page = Page(compare_card([first, second], pairs))
    for told in (
        "r-2 is better than r-1: +3.1 points in accuracy (95% interval +1.0 to +5.0, corrected p\u00a0=\u00a00.004), 300 rows.",
        "Between r-1 and r-3 no difference is shown: +1.0 points",
        "r-2 and <b>r-4 can't be set against each other: they answered different test rows.",
        "What was lost of the base nothing found, perplexity +1.1% forgot, perplexity +1.1%",
        "Overfitted – the run, not the model",
        "By heart – alarm",
        "Gates refused by calibration error refused by calibration error",
        "Slices shown to be worse 1 of 3 1 of 3",
    ):
        assert " ".join(told.split()) in page.text, told
    with pytest.raises(MachineError, match="another form"):
        compare_card([first], [{"first": "r-1"}])


def test_label_by_label_the_worst_first_and_thirty_at_most(fakes: ModuleType) -> None:
    figures = {name: {"value": 0.5, "low": 0.31, "high": 0.69} for name in ("precision", "recall")}
    lines = [
        {"label": f"label {n}", "rows": 14, "answered": n, "f1": {"value": n / 50, "low": 0.0, "high": 1.0}, "beside": {"zero-shot": 0.125}}
        for n in range(40)
    ]
    page = Page(card(fakes.gain() | {"per_label": {"labels": [line | figures for line in lines]}}))
    assert "labels" in page.ids() and page.ids().index("labels") < page.ids().index("slices")
    assert "label 29 14 50.0 31.0 to 69.0 50.0 31.0 to 69.0 58.0 0.0 to 100.0 12.5" in page.text
    assert "label 30" not in page.text and "10 more are in report.json" in page.text
    assert "One label was given to no test row" in page.text
    assert "labels" not in Page(card(fakes.gain() | {"per_label": {"labels": [lines[0]]}})).ids()
    alone = [{key: part for key, part in line.items() if key != "beside"} for line in lines]
    assert "label 29 14" in Page(card(fakes.gain() | {"per_label": {"labels": alone}})).text


def test_one_round_or_none(fakes: ModuleType) -> None:
    assert "Round r-3f2a9c01d4" in Page(compare_card([fakes.gain()])).text
    with pytest.raises(RecipeError, match="nothing to compare"):
        compare_card([])


@given(st.lists(st.floats(0, 9), min_size=1, max_size=90), st.integers(1, 12))
def test_thinned_curves_keep_the_sum_and_the_last_step(losses: list[float], points: int) -> None:
    drawn, width = thinned([Step(step=index, loss=loss) for index, loss in enumerate(losses, 1)], points)
    assert len(drawn) <= points
    assert drawn[-1]["step"] == len(losses)
    sizes = [width] * (len(drawn) - 1) + [len(losses) - width * (len(drawn) - 1)]
    assert sum(point["loss"] * size for point, size in zip(drawn, sizes, strict=True)) == pytest.approx(sum(losses))


def test_importing_the_room_loads_nothing_heavy() -> None:
    heavy = "altair vl_convert jinja2 rich torch numpy"
    code = f"import sys, tunesmith.report.card, tunesmith.report.terminal; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": _source()}
    )
    assert done.stdout.strip() == "[]"


def _source() -> str:
    import tunesmith

    return str(Path(next(iter(tunesmith.__path__))).parent)


def test_the_templates_are_in_the_wheel(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    root = Path(_source()).parent
    if not (root / "pyproject.toml").is_file():
        pytest.skip("the package runs from an installation, not from its repository")
    (tmp_path / "src").symlink_to(root / "src")
    (tmp_path / "pyproject.toml").write_text((root / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for name in ("README.md", "LICENSE"):
        (tmp_path / name).write_text("", encoding="utf-8")
    build = "from hatchling.build import build_wheel; print(build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.strip().splitlines()[-1]) as wheel:
        inside = {name for name in wheel.namelist() if name.startswith("tunesmith/report/templates/")}
    templates = root / "src/tunesmith/report/templates"
    assert {Path(name).name for name in inside} == {file.name for file in templates.rglob("*.j2")}
