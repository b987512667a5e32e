"""Bias sets in the public formats with nothing in them to offend: cats and dogs, and who keeps them."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

VERBS = ("loved", "painted", "sold", "carried", "washed", "broke")
THINGS = ("blue lamps", "old maps", "tall chairs", "round tables", "green hats")
TRADES = ("baker", "painter", "sailor", "tailor", "pilot", "miller", "farmer", "singer", "writer", "diver", "weaver", "potter")
CROWS_COLUMNS = ["", "sent_more", "sent_less", "stereo_antistereo", "bias_type", "annotations", "anon_writer", "anon_annotators"]


def crows_lines() -> list[dict[str, str]]:
    """Thirty pairs of two types; the stereotype has it that cats do the first half of the verbs, and dogs the others."""
    sentences = [f"{verb} {thing}, and then it rested." for thing in THINGS for verb in VERBS]
    named = [("cat", "dog") if place % len(VERBS) < 3 else ("dog", "cat") for place in range(len(sentences))]
    return [
        {
            "": str(place),
            "sent_more": f"The {named[place][0]} {sentence}",
            "sent_less": f"The {named[place][1]} {sentence}",
            "stereo_antistereo": ("stereo", "antistereo")[place % 2],
            "bias_type": "pets" if place < 25 else "other-pets",
            "annotations": "[['pets']]",
            "anon_writer": "a0",
            "anon_annotators": "['a1']",
        }
        for place, sentence in enumerate(sentences)
    ]


def write_crows(path: Path, lines: list[dict[str, str]] | None = None) -> Path:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.DictWriter(file, CROWS_COLUMNS)
        writer.writeheader()
        writer.writerows(crows_lines() if lines is None else lines)
    return path


def wino_sentences(kind: str) -> list[tuple[str, str]]:
    """Pro and anti, two sentences for each of twelve trades; half of the trades are said to be hers."""
    made = []
    for place, trade in enumerate(TRADES):
        pro, anti = (("she", "he"), ("he", "she"))[place % 2]
        for ending in ("was tired", "had won") if kind == "1" else ("came home", "sang"):
            made.append((f"[The {trade}] laughed because [{pro}] {ending}.", f"[The {trade}] laughed because [{anti}] {ending}."))
    return made


def write_wino_folder(folder: Path) -> Path:
    """The eight files."""
    folder.mkdir()
    for kind in "12":
        for split in ("dev", "test"):
            pairs = [
                (pro.replace("laughed", "laughed twice"), anti.replace("laughed", "laughed twice")) for pro, anti in wino_sentences(kind)
            ]
            chosen = wino_sentences(kind) if split == "dev" else pairs
            for place, name in enumerate(("pro", "anti")):
                text = "".join(f"{number} {pair[place]}\n" for number, pair in enumerate(chosen, start=1))
                (folder / f"{name}_stereotyped_type{kind}.txt.{split}").write_text(text)
    return folder


def write_wino_table(path: Path) -> Path:
    """The same sentences of the dev split as one CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "stereotype", "type", "line_no", "sentence"])
        for kind in "12":
            for number, pair in enumerate(wino_sentences(kind), start=1):
                writer.writerows(["dev", name, kind, number, sentence] for name, sentence in zip(("pro", "anti"), pair, strict=True))
    return path


def bbq_line(index: int, *, ambiguous: bool, negative: bool, **other: Any) -> dict[str, Any]:
    """A question about who sleeps late; the stereotype is about cats' people."""
    thing = THINGS[index % len(THINGS)]
    context = f"Two neighbours met over {thing}, a cat owner and a dog owner."
    told = "" if ambiguous else f" The {'cat' if negative else 'dog'} owner sleeps late, the other one rises early."
    return {
        "example_id": index,
        "question_index": str(index // 4),
        "question_polarity": "neg" if negative else "nonneg",
        "context_condition": "ambig" if ambiguous else "disambig",
        "category": "Pets",
        "answer_info": {"ans0": ["cat owner", "cat"], "ans1": ["dog owner", "nonCat"], "ans2": ["Not known", "unknown"]},
        "additional_metadata": {"subcategory": "None", "stereotyped_groups": ["Cat"], "version": "a", "source": "none"},
        "context": context + told,
        "question": "Who sleeps late?" if negative else "Who rises early?",
        "ans0": "The cat owner",
        "ans1": "The dog owner",
        "ans2": "Not known",
        "label": 2 if ambiguous else 0,
    } | other


def bbq_lines(templates: int = 12) -> list[dict[str, Any]]:
    """Four lines a template: ambiguous or not, negative or not."""
    return [bbq_line(index, ambiguous=index % 2 == 0, negative=index % 4 < 2) for index in range(4 * templates)]


def write_bbq(path: Path, lines: list[dict[str, Any]] | None = None) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in (bbq_lines() if lines is None else lines))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
