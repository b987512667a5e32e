"""From a file to a dataset and its report by the real commands: faults planted, faults found, and nothing personal left behind."""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

WORDS = ["rake", "spade", "hose", "seed", "pot", "glove", "fork", "bench", "lamp", "fence", "gate", "path", "shed", "tray", "net", "pump"]


def rows(count: int = 400) -> list[dict[str, Any]]:
    """Rows of two labels, each told by words of its own, no two nearly alike."""
    draw = random.Random(0)
    told = {"late": ["waiting", "still", "arrive", "delay", "yesterday"], "broken": ["cracked", "snapped", "leaks", "bent", "torn"]}
    made = []
    for number in range(count):
        label = ("late", "broken")[number % 2]
        words = draw.sample(WORDS, 5) + draw.sample(told[label], 3)
        draw.shuffle(words)
        made.append({"text": " ".join(words), "label": label, "customer": number // 4})
    return made


def written(path: Path, held: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in held), encoding="utf-8")
    return path


def recipe(folder: Path, **data: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps({"data": data}))
    return path


def test_faults_that_were_planted_are_found(command: Any, tmp_path: Path) -> None:
    held = rows()
    held[10]["label"], held[21]["label"], held[40]["label"] = "broken", "late", "broken"  # three wrong labels
    held += [held[3], {"text": "", "label": "late"}, {"text": "half a row"}]
    path = written(tmp_path / "tickets.jsonl", held)
    with path.open("a") as file:
        file.write("no JSON at all\n")
    said = command("prepare", recipe(tmp_path, path=str(path), task="classify"), "--workspace", tmp_path / "w", "--json")
    assert said.code == 0, said.err
    told = said.json()
    dropped = {stage["stage"]: stage["reasons"] for stage in told["report"]["waterfall"]}
    assert dropped["read"] == {"not valid JSON": 1}
    assert dropped["dedup"] == {"repeats an earlier row": 1}
    assert sum(dropped["fill"].values()) == 2
    folder = Path(told["folder"])
    review = (folder / "review.csv").read_text()
    assert all(row["text"] in review for row in (held[10], held[21], held[40]))
    page = (folder / "report.html").read_text()
    assert "What to look at" in page and "not valid JSON" in page
    assert any("look wrong" in sentence for sentence in told["first"])
    report = json.loads((folder / "report.json").read_text())
    assert report["findings"]["split"]["text_crossings"] == 0
    assert report["tokens"]["total"]["train"] > 0
    again = command("prepare", tmp_path / "recipe.yaml", "--workspace", tmp_path / "w")
    assert again.code == 0 and str(folder) in again.out


def test_a_reviewed_list_is_followed(command: Any, tmp_path: Path) -> None:
    held = rows()
    held[10]["label"] = "broken"
    path = written(tmp_path / "tickets.jsonl", held)
    first = command("prepare", recipe(tmp_path, path=str(path)), "--workspace", tmp_path / "w", "--json").json()
    lines = (Path(first["folder"]) / "review.csv").read_text().splitlines()
    mine = next(line for line in lines if held[10]["text"] in line)
    cells = mine.rsplit(",", 2)
    (tmp_path / "decided.csv").write_text("\n".join([lines[0], f"{cells[0]},fix,"]) + "\n")
    said = command("prepare", recipe(tmp_path, path=str(path), relabel={"review": "decided.csv"}), "--workspace", tmp_path / "w", "--json")
    assert said.code == 0, said.err
    changed = next(stage for stage in said.json()["report"]["waterfall"] if stage["stage"] == "relabel")
    assert changed["changes"] == {"label corrected": 1}
    every = "".join(file.read_text() for file in Path(said.json()["folder"]).glob("*.jsonl") if file.name not in ("quarantine.jsonl",))
    line = next(line for line in every.splitlines() if held[10]["text"] in line)
    assert json.loads(line)["answer"] == "late"


def test_nothing_personal_is_left(command: Any, tmp_path: Path) -> None:
    held = rows(200)
    for number, row in enumerate(held):
        row["text"] = (
            f"My name is Katharina Oberhuber. {row['text']} Write to katharina.oberhuber@web.de or call +49 30 9018 {2000 + number}."
        )
    path = written(tmp_path / "tickets.jsonl", held)
    data = {"path": str(path), "anonymise": {"map": "map.jsonl"}, "task": "classify"}
    said = command("prepare", recipe(tmp_path, **data), "--workspace", tmp_path / "w", "--json")
    assert said.code == 0, said.err
    kept = [file for file in (tmp_path / "w").rglob("*") if file.is_file()]
    assert len(kept) > 8
    for file in kept:
        content = file.read_bytes()
        assert b"Oberhuber" not in content and b"oberhuber" not in content and b"Katharina" not in content, file
    assert "Oberhuber" not in said.out + said.err
    undo = tmp_path / "map.jsonl"
    assert "Oberhuber" in undo.read_text() and undo.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "w" / "cache" / "passing").exists()
    again = command("prepare", recipe(tmp_path, **(data | {"instruction": "Sort."})), "--workspace", tmp_path / "w")
    assert again.code == 2 and "map.jsonl, which exists" in again.err


def test_what_a_killed_run_left_is_removed(command: Any, tmp_path: Path) -> None:
    left = tmp_path / "w" / "cache" / "passing" / "tmpdead"
    left.mkdir(parents=True)
    (left / "rows.spool").write_text("raw rows")
    old = time.time() - 3600
    os.utime(left, (old, old))
    said = command("prepare", recipe(tmp_path, path=str(written(tmp_path / "t.jsonl", rows(120)))), "--workspace", tmp_path / "w")
    assert said.code == 0, said.err
    assert not left.exists()


@pytest.mark.parametrize("ending", ["md", "html"])
def test_questions_of_documents(command: Any, tmp_path: Path, ending: str) -> None:
    text = (
        "A dibber is a pointed stick for making holes in soil. The wooden dibber was described by Pliny in 77. "
        "Gardeners in Lyon bought 340 dibbers in 1821. Their handles were made of ash and their points of iron. "
        "A mattock is a tool for digging hard ground. Mattocks from Sheffield weigh 1200 grams and last for decades."
    )
    (tmp_path / f"tools.{ending}").write_text(f"# Tools\n\n{text}\n" if ending == "md" else f"<h1>Tools</h1><p>{text}</p>")
    said = command("synthesise", tmp_path / f"tools.{ending}", "--out", tmp_path / "out", "--workspace", tmp_path / "w", "--json")
    assert said.code == 0, said.err
    assert said.json()["items"] >= 2
    made = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert len(made) == said.json()["items"]
    assert "<details" in (tmp_path / "out" / "quiz.html").read_text()
    assert (tmp_path / "out" / "anki.txt").read_text().startswith("#")
    refused = command("synthesise", tmp_path / f"tools.{ending}", "--kind", "questions", "--workspace", tmp_path / "w")
    assert refused.code == 2 and "error:" in refused.err


def test_labels_are_filled_from_another_column(command: Any, tmp_path: Path) -> None:
    held = [row | {"spare": row["label"]} for row in rows(200)]
    for row in held[::20]:
        row["label"] = ""
    path = written(tmp_path / "tickets.jsonl", held)
    asked = recipe(tmp_path, path=str(path), fill={"fields": {"label": {"from": "spare"}}})
    said = command("prepare", asked, "--workspace", tmp_path / "w", "--json")
    assert said.code == 0, said.err
    changes = {stage["stage"]: stage["changes"] for stage in said.json()["report"]["waterfall"]}
    assert changes["fill"] == {"label filled from spare": 10}
    assert "label: {from: spare}" in (Path(said.json()["folder"]) / "report.html").read_text()
