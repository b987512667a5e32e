"""Answers in the JSON of OpenAI's API, whole and in pieces."""

import secrets
from collections.abc import Sequence
from typing import Any

from tunesmith.serve.answers import Labelled, Piece, TokenSaid


def new_id(kind: str) -> str:
    """`chatcmpl-` and 24 random hex digits, or another kind."""
    return f"{kind}-{secrets.token_hex(12)}"


def chat_logprobs(tokens: Sequence[TokenSaid]) -> dict[str, Any]:
    """`logprobs` of a chat choice."""

    def one(text: str, spelt: Sequence[int], logp: float) -> dict[str, Any]:
        return {"token": text, "logprob": logp, "bytes": list(spelt)}

    content = [
        one(said.text, said.bytes, said.logp) | {"top_logprobs": [one(text, spelt, logp) for text, spelt, logp in said.likeliest]}
        for said in tokens
    ]
    return {"content": content, "refusal": None}


def text_logprobs(tokens: Sequence[TokenSaid], start: int = 0) -> dict[str, Any]:
    """`logprobs` of a completion's choice."""
    offsets, place = [], start
    for said in tokens:
        offsets.append(place)
        place += len(said.text)
    return {
        "tokens": [said.text for said in tokens],
        "token_logprobs": [said.logp for said in tokens],
        "top_logprobs": [{text: logp for text, _, logp in said.likeliest} for said in tokens],
        "text_offset": offsets,
    }


def usage(prompt_tokens: int, answer_tokens: int) -> dict[str, int]:
    """What was read and written."""
    return {"prompt_tokens": prompt_tokens, "completion_tokens": answer_tokens, "total_tokens": prompt_tokens + answer_tokens}


class Gathered:
    """The pieces of an answer, put together."""

    def __init__(self, choices: int) -> None:
        self.texts = [""] * choices
        self.tokens: list[list[TokenSaid]] = [[] for _ in range(choices)]
        self.finish: list[str | None] = [None] * choices
        self.extras: list[dict[str, Any] | None] = [None] * choices
        self.prompt_tokens = self.answer_tokens = 0

    def add(self, piece: Piece) -> None:
        """One more."""
        self.texts[piece.index] += piece.text
        self.tokens[piece.index] += piece.tokens
        if piece.finish is not None:
            self.finish[piece.index], self.extras[piece.index] = piece.finish, piece.extra
        self.prompt_tokens = max(self.prompt_tokens, piece.prompt_tokens)
        self.answer_tokens += piece.answer_tokens

    def chat_choices(self, *, logprobs: bool) -> list[dict[str, Any]]:
        """`choices` of a chat completion."""
        return [
            {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": None} | _told(self.extras[index]),
                "logprobs": chat_logprobs(self.tokens[index]) if logprobs else None,
                "finish_reason": self.finish[index] or "stop",
            }
            for index, text in enumerate(self.texts)
        ]

    def text_choices(self, first: int, *, logprobs: bool) -> list[dict[str, Any]]:
        """`choices` of a completion."""
        return [
            {
                "index": first + index,
                "text": text,
                "logprobs": text_logprobs(self.tokens[index]) if logprobs else None,
                "finish_reason": self.finish[index] or "stop",
            }
            for index, text in enumerate(self.texts)
        ]


def _told(extra: dict[str, Any] | None) -> dict[str, Any]:
    """What we tell beyond OpenAI's fields, under one name of our own."""
    return {} if extra is None else {"tunesmith": extra}


def chat_chunk(head: dict[str, Any], piece: Piece, *, first: bool, logprobs: bool) -> dict[str, Any]:
    """A `chat.completion.chunk`."""
    delta: dict[str, Any] = {"role": "assistant"} if first else {}
    if piece.text or first:
        delta["content"] = piece.text
    told = chat_logprobs(piece.tokens) if logprobs and piece.tokens else None
    choice = {"index": piece.index, "delta": delta | _told(piece.extra), "logprobs": told, "finish_reason": piece.finish}
    return head | {"choices": [choice]}


def text_chunk(head: dict[str, Any], piece: Piece, *, logprobs: bool, start: int) -> dict[str, Any]:
    """A `text_completion` in a stream."""
    told = text_logprobs(piece.tokens, start) if logprobs and piece.tokens else None
    return head | {"choices": [{"index": piece.index, "text": piece.text, "logprobs": told, "finish_reason": piece.finish}]}


def labelled_json(one: Labelled, text: str, top: int | None) -> dict[str, Any]:
    """What `/v1/classify` tells of a text: a label, or the labels, the value or the spans that the model reads off it.

    Args:
        one: the answer.
        text: as the model saw it, where spans count.
        top: so many of the likeliest labels; None: all.
    """
    chances = dict(sorted(one.chances.items(), key=lambda pair: (-pair[1], pair[0]))[:top])
    if one.found is None:
        return {"label": one.label, "confidence": one.confidence, "abstains": one.abstains, "probabilities": chances}
    return {"answer": one.label} | meaning_json(one, text) | ({"probabilities": chances} if chances else {})


def meaning_json(found: Labelled, text: str | None = None) -> dict[str, Any]:
    """What an answer stands for: `labels`, `value` or `spans`, with the confidence where there is one.

    Args:
        found: the answer.
        text: what its spans count in; where it is given, the words of each stand beside.
    """
    sure = {} if found.confidence is None else {"confidence": found.confidence}
    if isinstance(found.found, float):
        return {"value": found.found} | sure
    if isinstance(found.found, tuple) and found.chances:
        return {"labels": list(found.found)} | sure
    spans: Any = found.found or ()
    words = [{} if text is None else {"text": text[start:end]} for start, end, _ in spans]
    return {"spans": [{"start": s, "end": e, "label": label} | said for (s, e, label), said in zip(spans, words, strict=True)]} | sure
