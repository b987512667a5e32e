"""A style guide through a round and the command: the score stands in the report, and rows of it are rows that a recipe reads."""

from pathlib import Path
from typing import Any

from tunesmith.core.files import read_json, read_jsonl
from tunesmith.core.rows import Message
from tunesmith.pipeline.style import measures
from tunesmith.recipe.guide import read_guide

GUIDE = """
rules: {exclamations: 0, greeting: [Hello]}
pairs:
  - {prompt: Say the word ak twice., instead_of: "ak! ak!", say: "Hello, ak ak"}
  - {prompt: Say the word bl twice., instead_of: "bl! bl!", say: "Hello, bl bl"}
"""
CHATS = [(f"Say the word {word} twice.", f"Hello, {word} {word}") for word in (f"{a}{b}" for a in "abcdefghij" for b in "klmnopqr")]


def test_style_before_and_after_stands_in_the_report_and_rows_come_of_the_models_own_answers(
    tmp_path: Path, tiny_base: Path, command: Any, write_recipe: Any, write_rows: Any
) -> None:
    guide, work = tmp_path / "style.yaml", ("--workspace", tmp_path / "work")
    guide.write_text(GUIDE)
    rows = write_rows(tmp_path / "chats.jsonl", [{"prompt": asked, "completion": said} for asked, said in CHATS])
    evaluate = {"few_shot": [0], "select_rows": 8, "resamples": 200, "max_new_tokens": 8, "forgetting": {"enabled": False}}
    evaluate |= {"style": "style.yaml", "metrics": ["exact_match", "style", "style_greeting", "style_exclamations"]}
    recipe = write_recipe(tmp_path, rows, tiny_base, evaluate=evaluate)
    said = command("run", recipe, *work, "--json")
    assert said.code == 0, said.err
    told = said.json()
    systems = {one["key"]: one["metrics"] for one in told["report"]["systems"]}
    assert systems["neighbour"]["style_greeting"]["value"] == 1  # it says what training rows say
    for key, metrics in systems.items():
        saved = read_jsonl(Path(told["folder"]) / ("predictions" if key == "tuned" else "baselines") / f"{key}.jsonl")
        shares = [sum(row["kept"].values()) / len(row["kept"]) for row in saved]
        assert abs(metrics["style"]["value"] - sum(shares) / len(shares)) < 1e-12
    assert {"zero-shot", "tuned"} <= systems.keys()

    out = tmp_path / "pairs.jsonl"
    made = command("style", guide, "--model", told["id"], "--prompts", rows, "--out", out, "--most", 24, "--samples", 6, *work, "--json")
    assert made.code == 0, made.err
    found = made.json()
    assert found["rules"] == ["greeting", "exclamations"]
    assert found["prompts"] + found["row_prompts"] == 24 and min(found["prompts"], found["row_prompts"]) > 4
    assert [one["name"] for one in found["kept"]] == ["style", "style_all", "style_greeting", "style_exclamations"]
    pairs = list(read_jsonl(out))
    guided = read_guide(guide)
    assert not [row for row in pairs if measures(tuple(Message(turn["role"], turn["content"]) for turn in row["prompt"]), guided)]
    assert len(pairs) == sum(found["rows"].values()) and found["rows"]["guide"] == 2
    again = command("style", guide, "--model", told["id"], "--prompts", rows, "--out", out, "--most", 24, "--samples", 6, *work, "--json")
    assert again.json() == found and list(read_jsonl(out)) == pairs
    spread = [row | {"prompt": f"{row['prompt'][-1]['content']} ({turn})"} for turn in range(20) for row in pairs]
    checked = command(
        "check",
        write_recipe(tmp_path / "dpo", {"path": str(write_rows(tmp_path / "dpo.jsonl", spread)), "task": "prefer"}, tiny_base),
        *work,
    )
    assert checked.code == 0, checked.err
    assert read_json(Path(told["folder"]) / "report.json")["verdict"]["metric"] == "exact_match"


def test_the_guides_pairs_alone_need_no_model_and_what_cant_be_done_is_told(tmp_path: Path, command: Any) -> None:
    guide = tmp_path / "style.yaml"
    guide.write_text(GUIDE)
    alone = command("style", guide, "--out", tmp_path / "rows.jsonl", "--workspace", tmp_path / "work")
    assert alone.code == 0 and "2 rows" in alone.out and len(list(read_jsonl(tmp_path / "rows.jsonl"))) == 2
    for arguments, code, sentence in (
        ((), 2, "nothing to do"),
        (("--model", "champion"), 2, "workspace"),
        (("--out", tmp_path / "x.jsonl", "--samples", 1), 2, "draw 2 or more"),
    ):
        found = command("style", guide, *arguments, "--workspace", tmp_path / "none")
        assert found.code == code and sentence in found.err, found.err
