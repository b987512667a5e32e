"""Files to train on: every example that is right is read as it stands, and what is wrong is told by line and rule, never quoted."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.serve.examples import MOST_LINE, BadExample, Examples, check_examples, rows_of

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Which colour?"}, {"role": "assistant", "content": "blue"}]}
PAIR: dict[str, Any] = {
    "input": {"messages": CHAT["messages"][:1], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [{"role": "assistant", "content": "blue"}],
    "non_preferred_output": [{"role": "assistant", "content": "red"}],
}


def file_of(folder: Path, *lines: Any) -> Path:
    path = folder / "rows"
    path.write_bytes(b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines))
    return path


def test_a_chat_is_read_as_its_last_answer_and_what_stands_before(tmp_path: Path) -> None:
    long = {
        "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "One "}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "yes", "weight": 1},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": "no", "weight": 0},
        ]
    }
    path = file_of(tmp_path, b"\xef\xbb\xbf" + json.dumps(CHAT).encode(), b"", long)
    assert check_examples(path) == Examples("chat", 2)
    assert list(rows_of(path)) == [
        CHAT,
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "One two"},
                {"role": "assistant", "content": "yes"},
            ]
        },
    ]


def test_a_preference_is_read_as_a_prompt_and_two_answers(tmp_path: Path) -> None:
    path = file_of(tmp_path, PAIR)
    assert check_examples(path) == Examples("preference", 1)
    assert list(rows_of(path)) == [
        {"prompt": CHAT["messages"][:1], "chosen": PAIR["preferred_output"], "rejected": PAIR["non_preferred_output"]}
    ]


SECRET = "a word of the client's"
WRONG: list[tuple[Any, str]] = [
    (b"[1]", "JSON and no object"),
    (b'{"messages": NaN}', "no JSON"),
    (b"[" * 100_000, "no JSON"),
    (b'{"a": "\xff"}', "not UTF-8"),
    (b'"' + b"a" * MOST_LINE + b'"', "longer than 1,024 KiB"),
    ({}, "neither messages"),
    (CHAT | {SECRET: 1}, "is not known here"),
    ({"messages": []}, "no list of messages"),
    ({"messages": "Human: a"}, "no list of messages"),
    ({"messages": [1]}, "message 1 of messages is no object"),
    ({"messages": [{"role": "bot", "content": SECRET}]}, "message 1 of messages has no role of"),
    ({"messages": [{"role": "user", "content": None}]}, "has no content"),
    ({"messages": [{"role": "user", "content": SECRET}]}, "no assistant message"),
    ({"messages": CHAT["messages"][1:]}, "no user message stands before"),
    ({"messages": [*CHAT["messages"], {"role": "assistant", "content": " "}]}, "the last assistant message is empty"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": SECRET}]}]}, "a part that is no text"),
    ({"messages": [CHAT["messages"][0], CHAT["messages"][1] | {"weight": 2}]}, "weight is neither 0 nor 1"),
    ({"messages": [CHAT["messages"][0], CHAT["messages"][1] | {"weight": 0}]}, "every assistant message has weight 0"),
    ({name: value for name, value in PAIR.items() if name != "input"}, "'input' is missing"),
    (PAIR | {"input": SECRET}, "'input' is no object"),
    (PAIR | {"preferred_output": PAIR["non_preferred_output"]}, "are the same"),
    (PAIR | {"preferred_output": [*PAIR["preferred_output"], *PAIR["preferred_output"]]}, "not a list of one assistant message"),
    (PAIR | {"preferred_output": [{"role": "user", "content": SECRET}]}, "not a list of one assistant message"),
    (PAIR, "of the preference form, and those before are of the chat form"),
]


@pytest.mark.parametrize(("line", "rule"), WRONG, ids=[rule for _, rule in WRONG])
def test_a_wrong_line_is_named_with_its_rule_and_not_quoted(tmp_path: Path, line: Any, rule: str) -> None:
    with pytest.raises(BadExample) as told:
        check_examples(file_of(tmp_path, CHAT, b"", line, CHAT))
    assert told.value.line == 3 and rule in str(told.value)
    assert len(str(told.value)) < 300 and (SECRET not in str(told.value) or "not known here" in rule)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from([*CHAT, *PAIR, "role", "content"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.binary(max_size=200)
    | json_values
    | st.fixed_dictionaries({"messages": json_values})
    | st.fixed_dictionaries(dict.fromkeys(PAIR, json_values))
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_sentence(tmp_path_factory: pytest.TempPathFactory, held: Any) -> None:
    path = file_of(tmp_path_factory.mktemp("held"), held if isinstance(held, bytes) else json.dumps(held).encode())
    try:
        found = check_examples(path)
    except BadExample as error:
        assert str(error).startswith("Line ") and str(error).isprintable()
    else:
        assert found.rows == len(list(rows_of(path)))
