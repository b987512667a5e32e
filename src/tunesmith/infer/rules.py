"""Constraints over a vocabulary: which tokens may come next, and how an answer is brought to an end in time.

The grammar is llguidance's: before each token it tells which tokens may come next, a bit each. An answer that runs out
of tokens is closed: as few of its last tokens as need be are taken back, and a short way to an end is written instead,
so that every answer keeps to its constraint, if max_new_tokens leaves room for the shortest found. Cost: about ten
microseconds a token and row over 4,096 tokens of vocabulary, more over more.

Letters: V vocabulary.
"""

import re
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.core.errors import RecipeError
from tunesmith.infer.constraints import LIMITS, Constraint, capital, line

MOST_CLOSING = 1024
"""Tokens of the shortest answer, at most."""
MOST_TRIALS = 20_000
"""Tokens tried out while a way to an end is looked for."""
ROUND = 36
"""Tokens gone through in turn where what may come next stays the same: figures and letters."""
_FIRST = b",:" + (string.digits + string.ascii_letters).encode()
_LATE = b'"{['
"""Bytes that open things."""

Mask = npt.NDArray[np.bool_]


class Vocabulary:
    """A tokenizer made ready for constraints: every token is looked at, so make it once.

    Args:
        tokenizer: a Hugging Face fast tokenizer.
        outputs: logits that the model gives, which may be more than the tokenizer has tokens.
        end_ids: ids that end an answer, the same as those of `generate.Wanted`.
    """

    def __init__(self, tokenizer: Any, *, outputs: int, end_ids: Sequence[int]) -> None:
        from llguidance.hf import from_tokenizer

        self.width = outputs
        self.tokens = from_tokenizer(tokenizer, n_vocab=outputs, eos_token=list(end_ids))
        single: dict[int, int] = {}
        for token in range(outputs):
            if not self.tokens.is_special_token(token) and len(said := self.tokens.decode_bytes([token])) == 1:
                single.setdefault(said[0], token)
        plain = list(dict.fromkeys([*_FIRST, *(byte for byte in range(33, 127) if byte not in _LATE and byte != 92), *_LATE]))
        tiers = (plain, b" \n\t\r\\", [byte for byte in range(256) if byte not in plain])
        self.tiers = [np.array([single[byte] for byte in tier if byte in single], np.int64) for tier in tiers]
        """Tokens of single bytes, those of a tier only where none of an earlier one may come: figures and letters first and what
        opens things last; spaces and escapes; pieces of other letters."""
        self.closers = [single.get(byte, -1) for byte in b"}]"]
        self.quote = single.get(ord('"'), -1)

    def rule(self, constraint: Constraint) -> "Rule":
        """The constraint over this vocabulary.

        Raises:
            RecipeError: no answer that keeps to it is found within `MOST_CLOSING` tokens.
        """
        return Rule(self, constraint)


class Guide:
    """A constraint followed along one answer."""

    def __init__(self, matcher: Any, width: int) -> None:
        self.matcher, self._width = matcher, width

    def allowed(self) -> Mask:
        """Which tokens may come next: [V], at least one."""
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        mask: Mask = np.unpackbits(bits, count=self._width, bitorder="little").view(np.bool_)
        return mask if mask.any() else np.ones(self._width, np.bool_)  # a limit was met: the next `take` says so

    def take(self, token: int) -> bool:
        """Go on with a token; False where it is not allowed, or where the parser met a limit."""
        return bool(self.matcher.consume_token(token))


class Rule:
    """A constraint over a vocabulary; `fewest` tokens make the shortest answer found."""

    def __init__(self, vocabulary: Vocabulary, constraint: Constraint) -> None:
        from llguidance import LLMatcher, LLParserLimits

        self._vocabulary, self._json = vocabulary, constraint.json
        self._first: Any = LLMatcher(vocabulary.tokens, constraint.grammar, log_level=0, limits=LLParserLimits(**LIMITS))
        self._first.compute_bitmask()  # the first token is where a constraint that is too large meets a limit
        shortest = self._way_out((), MOST_CLOSING)
        if shortest is None and self._first.stop_reason().endswith("TooComplex"):
            raise RecipeError(f"{capital(constraint.name)} can't be kept to: {line([self._first.get_error()])}. Make it smaller.")
        if shortest is None:
            raise RecipeError(
                f"No answer that keeps to {constraint.name} was found within {MOST_CLOSING:,} tokens: "
                "something in it goes on without end, or asks for too much."
            )
        self._shortest = shortest
        self.fewest = len(shortest)

    def begin(self) -> Guide:
        """For one answer."""
        return Guide(self._first.deep_copy(), self._vocabulary.width)

    def completed(self, made: Sequence[int], most: int) -> tuple[int, ...]:
        """An answer of at most `most` tokens that keeps to the constraint, with as much of `made` as that allows.

        Tokens are taken back one, two, four, ... at a time until the way to an end is short enough.
        """
        back = 0
        while back < len(made):
            kept = tuple(made[: len(made) - back])
            way = self._way_out(kept, most - len(kept))
            if way is not None:
                return (*kept, *way)
            back = max(1, 2 * back)
        return self._shortest

    def _way_out(self, kept: Sequence[int], most: int) -> tuple[int, ...] | None:
        """A short way from some tokens to an accepted end, found step by step; None: none of `most` tokens was found."""
        here = self._first.deep_copy()
        if kept and not here.consume_tokens(list(kept)):
            return None
        search = _Search(self._vocabulary, _in_string(self._vocabulary.tokens.decode_bytes(list(kept))) if self._json else None)
        way: list[int] = []
        while not here.is_accepting():
            after = search.onward(here)
            if after is None or len(way) >= most:
                return None
            here, token = after
            way.append(token)
        return None if here.is_error() or len(way) > most else tuple(way)


def _in_string(said: bytes) -> bool:
    """Whether JSON so far ends inside a string."""
    return len(re.findall(rb'"', re.sub(rb"\\.", b"", said, flags=re.DOTALL))) % 2 == 1


class _Search:
    """Steps towards an end. In JSON, what closes is taken wherever it may come; else the first token behind which what may come
    next was not met yet; else each of some in turn, for the parser may be counting."""

    def __init__(self, vocabulary: Vocabulary, in_string: bool | None) -> None:
        self._vocabulary, self._in_string = vocabulary, in_string
        self._seen: set[bytes] = set()
        self._spent: dict[bytes, int] = {}
        self._left = MOST_TRIALS

    def onward(self, here: Any) -> tuple[Any, int] | None:
        """The parser one token on, with that token; None where nothing may come, or enough was tried."""
        mark = here.compute_bitmask()
        allowed = Guide(here, self._vocabulary.width).allowed()
        closing = [token for token in self._closing() if token >= 0 and allowed[token]]
        found = self._taken(here, closing[0]) if closing else self._new(here, mark, self._candidates(allowed))
        if found is not None and self._in_string is not None and found[1] == self._vocabulary.quote:
            self._in_string = not self._in_string
        return found

    def _closing(self) -> list[int]:
        if self._in_string is None:
            return []
        return [self._vocabulary.quote] if self._in_string else self._vocabulary.closers

    def _candidates(self, allowed: Mask) -> list[int]:
        """Tokens of a single byte that may come next; any where there are none."""
        for tokens in self._vocabulary.tiers:
            if found := tokens[allowed[tokens]].tolist():
                return list(found)
        return [int(token) for token in np.flatnonzero(allowed)[:16]]

    def _taken(self, here: Any, token: int) -> tuple[Any, int] | None:
        after = here.deep_copy()
        self._left -= 1
        return (after, token) if self._left >= 0 and after.consume_token(token) else None

    def _new(self, here: Any, mark: bytes, candidates: list[int]) -> tuple[Any, int] | None:
        if mark not in self._spent:
            self._seen.add(mark)
            for token in candidates:
                found = self._taken(here, token)
                if found is not None and (found[0].is_accepting() or found[0].compute_bitmask() not in self._seen):
                    return found
            self._spent[mark] = 0
        turn = self._spent[mark]
        self._spent[mark] += 1
        return self._taken(here, candidates[turn % min(ROUND, len(candidates))]) if candidates else None
