"""Pieces of several choices pass their filters, whatever answers; tokens are counted to the end, also of what was blocked."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from tunesmith.guard.finding import Finding
from tunesmith.guard.policy import Policy
from tunesmith.guard.rules.classifier import ClassifierRule
from tunesmith.guard.rules.lexicon import LexiconRule
from tunesmith.score.lexicon import Lexicon, Term
from tunesmith.serve.answers import Ask, Piece, TokenSaid
from tunesmith.serve.filters import answered
from tunesmith.serve.log import Line, RequestLog
from tunesmith.serve.passed import pieces_of
from tunesmith.serve.speaking import Gathered

BLOCKING = LexiconRule(Lexicon.of([Term("zorgle")]), Finding(0, 0, "lexicon", "block", ""))
VILE = ClassifierRule(lambda texts: [float("vile" in text) for text in texts], 0.5, "redact", "[removed]")


class Saying:
    """A backend that says given texts, a letter a piece, the choices in turn."""

    def __init__(self, *texts: str, labels: list[str] | None = None) -> None:
        self.texts, self.facts, self.ended = texts, {"labels": labels}, False

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        try:
            for place in range(max(map(len, self.texts))):
                for index, text in enumerate(self.texts):
                    if place < len(text):
                        token = TokenSaid(text[place], tuple(text[place].encode()), -1.0, (("zorgle", (1,), -2.0),))
                        last: dict[str, Any] = {"finish": "stop", "prompt_tokens": 5, "answer_tokens": len(text)}
                        yield Piece(index=index, text=text[place], tokens=(token,), **(last if place + 1 == len(text) else {}))
        finally:
            self.ended = True


def gathered(backend: Saying, policy: Policy | None) -> tuple[Gathered, Line, list[Piece]]:
    line, pieces = Line(), []

    async def gather() -> Gathered:
        made = Gathered(len(backend.texts))
        async for piece in answered(backend, Ask(n=len(backend.texts)), policy, line):  # type: ignore[arg-type]
            pieces.append(piece)
            made.add(piece)
        return made

    return asyncio.run(gather()), line, pieces


def policy(*rules: Any, slow: bool = False) -> Policy:
    return Policy("p", "Not here.", (), (), rules, slow)


def test_each_choice_has_its_own_filter_and_all_tokens_count() -> None:
    backend = Saying("a zorgle b", "zorgle", "a rake b c")
    made, line, pieces = gathered(backend, policy(BLOCKING))
    assert made.texts == ["a ", "Not here.", "a rake b c"] and made.finish == ["content_filter", "content_filter", "stop"]
    assert (made.prompt_tokens, made.answer_tokens) == (5, 26) and backend.ended
    assert [len(one) for one in made.tokens] == [0, 0, 10] and not any(token.likeliest for token in made.tokens[2])
    assert line.found == {"output": {"lexicon": 2}} and line.blocked == ["output:lexicon"]
    assert [piece.index for piece in pieces if not piece.says] == [0]  # only counts; the second choice was blocked by its last piece


class Counting(Saying):
    """One that tells how much it read and wrote after all else, as engines do."""

    async def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
        async for piece in super().pieces(ask):
            yield replace(piece, prompt_tokens=0, answer_tokens=0)
        yield Piece(index=0, prompt_tokens=5, answer_tokens=26)


def test_tokens_that_are_told_after_the_end_count_too() -> None:
    for rules in ((), (BLOCKING,)):
        made, _, pieces = gathered(Counting("a zorgle b", "a rake b"), policy(*rules))
        assert (made.prompt_tokens, made.answer_tokens) == (5, 26) and not pieces[-1].says


def test_a_classifier_reads_passages_as_they_come() -> None:
    fine = "This sentence is fine, and it is long enough to be a passage of its own. "
    vile = "This one is as vile as can be, and also long enough to be one by itself. "
    made, line, pieces = gathered(Saying(fine + vile + fine), policy(VILE, slow=True))
    assert made.texts == [f"{fine}[removed]{fine}"] and made.tokens == [[]] and line.found == {"output": {"classifier": 1}}
    assert len(pieces) == 3


def test_labels_pass_as_they_are() -> None:
    assert gathered(Saying("zorgle", labels=["zorgle", "rake"]), policy(BLOCKING))[0].texts == ["zorgle"]
    assert gathered(Saying("zorgle"), None)[0].texts == ["zorgle"]


def test_a_client_that_leaves_ends_the_answer_and_what_was_found_is_noted() -> None:
    backend, line = Saying("a zorgle and more", "a rake and much more"), Line()

    async def leave() -> None:
        pieces: Any = answered(backend, Ask(n=2), policy(BLOCKING), line)  # type: ignore[arg-type]
        async for piece in pieces:
            if piece.finish is not None:
                break
        await pieces.aclose()

    asyncio.run(leave())
    assert backend.ended and line.blocked == ["output:lexicon"] and line.found == {"output": {"lexicon": 1}}


def test_a_log_that_cannot_be_written_says_so_once_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = RequestLog(tmp_path / "log.jsonl")
    log.write(Line().to_json(200, 0.25))
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    assert {"status": 200, "ms": 250.0, "route": "none"}.items() <= json.loads(line).items()
    if Path("/dev/full").exists():
        full = RequestLog("/dev/full")
        full.write({})
        full.write({})
        assert capsys.readouterr().err.count("can't be written") == 1


class Scripted:
    """An engine that knows no stops."""

    async def post(self, path: str, body: dict[str, Any], kind: Any) -> Any:
        words = ["a rake", " ZZ", " zorgle"]
        content = [{"token": word, "logprob": -1.0} for word in words]
        choice = {"message": {"content": "".join(words)}, "finish_reason": "length", "logprobs": {"content": content}}
        return msgspec.convert({"choices": [choice]}, kind)


def test_what_an_engine_writes_behind_a_stop_passes_no_policy() -> None:
    ask = Ask(logprobs=True, whole=True, stop=("ZZ",))

    class Before:
        facts: ClassVar[dict[str, Any]] = {}

        def pieces(self, ask: Ask) -> AsyncIterator[Piece]:
            return pieces_of(Scripted(), "/chat/completions", {"stop": ["ZZ"]}, ask)  # type: ignore[arg-type]

    async def gather() -> list[Piece]:
        return [piece async for piece in answered(Before(), ask, policy(BLOCKING), Line())]  # type: ignore[arg-type]

    pieces = asyncio.run(gather())
    assert "".join(piece.text for piece in pieces) == "a rake "
    assert [token.text for piece in pieces for token in piece.tokens] == ["a rake"]
