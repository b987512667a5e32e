"""Style guides from YAML and from Markdown, and what is said where they can't be meant."""

from pathlib import Path

import pytest

from tunesmith.core.errors import RecipeError
from tunesmith.recipe import Recipe
from tunesmith.recipe.guide import read_guide
from tunesmith.recipe.model import with_schema

MARKDOWN = """# How we write

We write short, plain sentences.

```yaml
sentence_words: 20
emoji: false
greeting: [Hello, Dear customer]
```

- Instead of "at this time", say "now".
- instead of `utilise` write `use`.

| Instead of | Say | Prompt |
|---|---|---|
| **No idea!** | It comes on Monday. | Where is my rake? |
| very | | |
"""


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_markdown_says_the_same_as_yaml(tmp_path: Path) -> None:
    yaml = """
rules: {sentence_words: 20, emoji: false, greeting: [Hello, Dear customer]}
pairs:
  - {instead_of: at this time, say: now}
  - {instead_of: utilise, say: use}
  - {instead_of: No idea!, say: It comes on Monday., prompt: Where is my rake?}
  - {instead_of: very, say: ""}
"""
    found = read_guide(written(tmp_path, "style.md", MARKDOWN))
    assert found == read_guide(written(tmp_path, "style.yaml", yaml))
    assert found.style.forbidden == ("at this time", "utilise", "very") and found.style.rules == [
        "sentences",
        "forbidden",
        "greeting",
        "emoji",
    ]


def test_front_matter_holds_rules_too(tmp_path: Path) -> None:
    assert read_guide(written(tmp_path, "style.md", "---\nrules: {exclamations: 0}\n---\n\nShort.\n")).style.rules == ["exclamations"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: {emojis: false}", "Did you mean 'emoji'?"),
        ("rule: {emoji: false}", "Did you mean 'rules'?"),
        ("rules: {sentence_words: 0}", "rules.sentence_words"),
        ("rules: {}", "neither a rule nor a pair"),
        ("pairs: [{instead_of: now, say: now}]", "are the same"),
        ("pairs: [{instead_of: now, say: '', prompt: When?}]", "whole answer"),
        ("- a list", "holds no rules and no pairs"),
        ("rules: {emoji: false", ":1:"),
        ("", "holds no rules and no pairs"),
    ],
)
def test_what_cant_be_meant_is_told_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError) as told:
        read_guide(written(tmp_path, "style.yaml", text))
    assert said in str(told.value) and "style.yaml" in str(told.value)


def test_a_guide_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="There is no style guide"):
        read_guide(tmp_path / "none.yaml")
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_guide(tmp_path / "binary.md")


def test_a_recipe_takes_the_guide_itself_for_its_path_and_is_known_by_what_it_says(tmp_path: Path) -> None:
    def named(text: str) -> Recipe:
        written(tmp_path, "style.yaml", text)
        asked = {"data": {"path": "rows.jsonl", "task": "generate"}, "evaluate": {"style": "style.yaml", "metrics": ["rougeL", "style"]}}
        return with_schema(Recipe.model_validate(asked), tmp_path)

    one, other = named("rules: {emoji: false}"), named("rules: {emoji: true}")
    assert one.evaluate.guide is not None and one.evaluate.guide.style.emoji is False
    assert one.identity() != other.identity() and with_schema(one, Path("elsewhere")) == one


def test_a_style_measure_needs_a_guide_and_a_guide_a_measure() -> None:
    for evaluate, said in (({"metrics": ["style_emoji"]}, "needs a style guide"), ({"style": "guide.md"}, "no measure looks at it")):
        with pytest.raises(RecipeError, match=said):
            Recipe.model_validate({"data": {"path": "rows.jsonl", "task": "generate"}, "evaluate": evaluate})
    with pytest.raises(RecipeError, match="Did you mean 'emoji'"):
        Recipe.model_validate({"data": {"path": "r.jsonl"}, "evaluate": {"metrics": ["style"], "style": {"rules": {"emojis": False}}}})
