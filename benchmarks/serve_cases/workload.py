"""What the clients ask: a list of requests that a name and a number fix, for both sides alike. Standard library only.

`shared`: one long instruction with the intents of a bank, and after it a message each; answers of 8 to 24 tokens, as a label and a reason
take. `plain`: texts of their own, 10 to 150 words from the first on unlike, the way questions are; answers of 16 to 64 tokens.
Every answer is written to its last token (the model is made so that it never ends one), so both sides write as many. Every other request
is streamed. No text is anybody's: words are drawn from lists below, and the model's weights are random as well.
"""

import random
from dataclasses import asdict, dataclass
from typing import Any

SEED = 6
INTENTS = 77
_WORDS = (
    "account address age amount app atm balance bank bill branch broken cancel card cash change charge check cheque code contact "
    "country currency date debit declined delay deposit details direct disposable edit exchange expired failed fee fiat find freeze "
    "friend funds get google hold identity income invoice key late limit link loan lost money month needed new number offer open "
    "order owner passcode pay pending people phone physical pin please quick rate reason receipt receive refund renew request reverted "
    "safe salary savings scan send sign spare statement stolen stop store supported tax terminal top transfer travel trouble twice "
    "type unblock unknown urgent verify virtual visa wage wait week where why working wrong yesterday"
)
WORDS = _WORDS.split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    prompt: str
    most: int
    """Tokens of the answer: just as many."""
    stream: bool

    def body(self, model: str) -> dict[str, Any]:
        """As `/v1/completions` takes it."""
        return {"model": model, "prompt": self.prompt, "max_tokens": self.most, "temperature": 0, "stream": self.stream}

    def to_json(self) -> dict[str, Any]:
        """For the process that sends it."""
        return asdict(self)


def instruction(seed: int = SEED) -> str:
    """What all requests of `shared` begin with."""
    drawn = random.Random(f"{seed} instruction")
    lines = [f"- {' '.join(drawn.sample(WORDS, drawn.randint(2, 4)))}" for _ in range(INTENTS)]
    head = "You help a bank sort the messages that its customers write. Read the message and name the one intent that fits it best."
    return "\n".join((head, "The intents:", *lines, "", "Message: "))


def shared(count: int, seed: int = SEED) -> list[Request]:
    """Requests under one instruction."""
    before = instruction(seed)
    return [_request(index, seed, "shared", before, (6, 30), (8, 24)) for index in range(count)]


def plain(count: int, seed: int = SEED) -> list[Request]:
    """Requests that have nothing in common."""
    return [_request(index, seed, "plain", "", (10, 150), (16, 64)) for index in range(count)]


WORKLOADS = {"shared": shared, "plain": plain}


def _request(index: int, seed: int, name: str, before: str, words: tuple[int, int], most: tuple[int, int]) -> Request:
    """Each by itself: the first ten requests are the same, however many are asked for."""
    drawn = random.Random(f"{seed} {name} {index}")
    own = "".join(drawn.choices(LETTERS, k=8))  # no two texts begin alike
    text = " ".join((own, *drawn.choices(WORDS, k=drawn.randint(*words))))
    return Request(before + text, drawn.randint(*most), index % 2 == 1)
