"""Forms of other people's files: OpenAI, ShareGPT, Anthropic, KTO, self-instruct, alpaca with history, calls of tools."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.rows import Message
from tunesmith.data import forms
from tunesmith.data.config import Task
from tunesmith.data.content import BadRow, Content, conversation, is_transcript, transcript
from tunesmith.data.formats import BadLine, Record, reader
from tunesmith.data.shape import shape
from tunesmith.data.source import find

USER, ANSWER, OTHER = ({"role": role, "content": words} for role, words in (("user", "q"), ("assistant", "a"), ("assistant", "b")))
TOOL = {"type": "function", "function": {"name": "price", "parameters": {"type": "object"}}}
LISTED = f"Tools that may be called:\n{json.dumps(TOOL['function'])}"


def made(row: dict[str, Any], task: Task | None = None) -> tuple[str, Content]:
    found = forms.recognise({column: [value] for column, value in row.items()}, {}, task, "file")
    return found.form.name, shape(found.form, found.mapping, row)


def test_openai_fine_tuning_learns_the_last_message_that_counts() -> None:
    first = ANSWER | {"weight": 1}
    last = {"role": "assistant", "content": "not this", "weight": 0}
    form, content = made({"messages": [USER, first, USER, last], "parallel_tool_calls": False})
    assert (form, content.prompt, content.answer) == ("messages", (Message("user", "q"),), "a")
    assert conversation([USER, last, USER, ANSWER]).prompt[1] == Message("assistant", "not this"), "it may still be part of a prompt"
    for turns, why in (
        ([USER, last], "weight 0"),
        ([USER, ANSWER | {"weight": 2}], "neither 0 nor 1"),
        ([USER, ANSWER | {"weight": "1"}], "neither"),
    ):
        with pytest.raises(BadRow, match=why):
            conversation(turns)


def test_openai_preference() -> None:
    row = {"input": {"messages": [USER], "tools": [TOOL]}, "preferred_output": [ANSWER], "non_preferred_output": [OTHER]}
    form, content = made(row)
    assert form == "prompt/chosen/rejected"
    assert content.prompt == (Message("system", LISTED), Message("user", "q"))
    assert (content.answer, content.rejected) == ("a", "b")


def test_sharegpt_with_a_system_text_and_tools() -> None:
    turns = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    form, content = made({"conversations": turns, "system": "Be brief.", "tools": json.dumps([TOOL])})
    assert (form, content.answer) == ("messages", "a")
    assert content.prompt == (Message("system", f"Be brief.\n\n{LISTED}"), Message("user", "q"))


def test_a_chat_keeps_its_own_system_message_and_shows_its_tools_there() -> None:
    own = {"role": "system", "content": "Own."}
    assert made({"messages": [own, USER, ANSWER], "tools": [TOOL]})[1].prompt[0] == Message("system", f"Own.\n\n{LISTED}")
    assert made({"messages": [own, USER, ANSWER], "tools": []})[1].prompt[0] == Message("system", "Own.")
    assert made({"messages": [USER, ANSWER], "tools": None, "system": ""})[1].prompt == (Message("user", "q"),)


def test_a_column_called_tools_that_holds_none_is_only_kept() -> None:
    assert made({"messages": [USER, ANSWER], "tools": "hammer"})[1].prompt == (Message("user", "q"),)
    assert made({"messages": [USER, ANSWER], "system": 3})[1].prompt == (Message("user", "q"),)


def test_transcripts_in_a_prompt() -> None:
    prompt = "Be kind.\n\nHuman: one\n\nAssistant: two\n\nHuman: three\n\nAssistant:"
    expected = tuple(Message(*turn) for turn in (("system", "Be kind."), ("user", "one"), ("assistant", "two"), ("user", "three")))
    assert made({"prompt": prompt, "completion": " four"}) == ("prompt/completion", Content(expected, "four"))
    judged = made({"prompt": prompt, "chosen": " four", "rejected": " five"})[1]
    assert (judged.prompt, judged.answer, judged.rejected) == (expected, "four", "five")
    unfinished = made({"prompt": "\n\nHuman: one", "completion": " four"})[1]
    assert (unfinished.prompt, unfinished.answer) == ((Message("user", "\n\nHuman: one"),), " four")


@pytest.mark.parametrize("column", ["text", "transcript", "conversation"])
def test_whole_transcripts_in_a_column(column: str) -> None:
    form, content = made({column: "\n\nHuman: hi\n\nAssistant: ho"})
    assert (form, content) == ("messages", Content((Message("user", "hi"),), "ho"))


def test_text_that_only_speaks_of_humans_is_text() -> None:
    assert made({"text": "Human: a word. The Assistant: another."})[0] == "text"
    assert not is_transcript("Who said Human: first?\n\nAssistant: nobody")


@given(
    st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(lambda word: ":" not in word), min_size=2, max_size=8)
)
def test_a_transcript_says_what_its_turns_said(words: list[str]) -> None:
    names = ("Human", "Assistant")
    text = "".join(f"\n\n{names[place % 2]}: {word}" for place, word in enumerate(words))
    assert is_transcript(text)
    assert [(turn["role"], turn["content"]) for turn in transcript(text)] == [
        (("user", "assistant")[place % 2], word) for place, word in enumerate(words)
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, ANSWER], "label": False},
        {"prompt": [USER], "completion": [ANSWER], "label": False},
        {"prompt": "q", "completion": "a", "label": "false"},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "desirable": 0},
    ],
)
def test_answers_that_are_judged_one_by_one(row: dict[str, Any]) -> None:
    content = made(row, Task.PREFER)[1]
    assert (content.prompt, content.answer, content.wanted) == ((Message("user", "q"),), "a", False)


def test_alpaca_with_history_and_system() -> None:
    row = {"instruction": "i", "input": "x", "output": "o", "history": [["a", "b"], ["c", "d"]], "system": "s"}
    turns = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "i\n\nx")]
    assert made(row) == ("instruction/input/output", Content(tuple(Message(*turn) for turn in turns), "o"))
    with pytest.raises(BadRow, match="history is not a list of pairs"):
        made(row | {"history": [["a"]]})


def test_dialogues_between_a_user_and_a_system() -> None:
    turns = [{"speaker": "USER", "utterance": "q"}, {"speaker": "SYSTEM", "utterance": "a"}, {"speaker": "USER", "utterance": "bye"}]
    assert made({"dialogue_id": "1", "turns": turns}) == ("messages", Content((Message("user", "q"),), "a"))


def test_calls_of_tools_and_what_they_return() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "price", "arguments": '{"of": "tea"}'}}]}
    result = {"role": "tool", "content": "3"}
    content = made({"messages": [USER, call, result, ANSWER], "tools": [TOOL]})[1]
    assert [turn.role for turn in content.prompt] == ["system", "user", "assistant", "tool"]
    assert json.loads(content.prompt[2].content) == {"name": "price", "arguments": {"of": "tea"}}


def test_each_instance_of_self_instruct_is_a_row(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "instruction": "i", "instances": [{"input": "", "output": "a"}, {"input": "x", "output": "b"}, "no"]},
        {"id": 2, "instruction": "j", "instances": []},
        {"id": 3, "instances": [{"output": "kept as it is"}]},
    ]
    path = tmp_path / "seed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    family, source = find(str(path), 2**20)
    items = list(reader(family)(source))
    assert [(item.number, item.values) for item in items[:2] if isinstance(item, Record)] == [
        (1, {"id": 1, "instruction": "i", "input": "", "output": "a"}),
        (1, {"id": 1, "instruction": "i", "input": "x", "output": "b"}),
    ]
    assert items[2] == BadLine(1, "an instance that is not an object", '"no"', "seed.jsonl")
    assert [item.values for item in items[3:] if isinstance(item, Record)] == rows[1:]
    assert source.notes == ["seed.jsonl: each of a record's instances is read as a row of its own."]
