"""An exercise is an instruction with solved pairs; it becomes a chat in one of several forms.

One pair is a zero-shot prompt; more are worked examples as earlier turns, the way the product prompts.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.core.rows import Message

MOST_CHARACTERS = 1900
"""Longest chat: about one pretraining window."""
PRODUCT = "Classify the message. Answer with one of: {labels}."
"""How the product itself asks; the rest are other ways to say it."""
CLASSIFY = (
    PRODUCT,
    PRODUCT,
    PRODUCT,
    "Classify the text. Answer with one of: {labels}.",
    "Which of these fits the message: {labels}?",
    "Pick the label that fits best. Labels: {labels}.",
    "You sort messages into categories. The categories are: {labels}. Answer with the category only.",
    "Choose one of {labels}.",
    "Options: {labels}\nAnswer with one option.",
    "What is this about? Possible answers: {labels}.",
    "Read what the user writes and name its category.",
    "Classify the message.",
)
MADE_UP = (
    *"ABCDEF", "foo", "bar", "dax", "wug", "blicket", "zup", "red", "blue", "green", "left", "right", "up", "down", *"0123",
)  # fmt: skip
"""Labels that tell nothing by themselves."""
_STYLES = ("spaced", "snake", "snake", "title", "camel", "kebab", "spaced")


@dataclass(frozen=True, slots=True)
class Exercise:
    """What is asked, and solved cases of it."""

    kind: str
    instruction: str
    pairs: tuple[tuple[str, str], ...]
    self_evident: bool = False
    """The pairs show what is wanted: the instruction may be left out when there are several."""


def style_label(label: str, style: str) -> str:
    """A spaced lower-case label in another spelling."""
    words = label.split()
    if style == "snake":
        return "_".join(words)
    if style == "kebab":
        return "-".join(words)
    if style == "title":
        return label[:1].upper() + label[1:]
    if style == "camel":
        return "".join(word[:1].upper() + word[1:] for word in words)
    return label


def any_style(rng: random.Random) -> str:
    """A spelling of labels, snake case most often."""
    return rng.choice(_STYLES)


def ask_for(labels: Sequence[str], rng: random.Random) -> str:
    """A classification instruction over these labels."""
    return rng.choice(CLASSIFY).format(labels=", ".join(labels))


def casual(text: str, rng: random.Random) -> str:
    """The text as somebody might type it in haste: lower case, little punctuation, now and then a slip of the finger."""
    draw = rng.random()
    if draw < 0.5:
        return text
    if draw < 0.65:
        return text.lower()
    text = re.sub(r"[.!?]+$", "", re.sub(r"[,;:\"]", "", text.lower()))
    return mistype(text, rng) if draw > 0.9 else text


def mistype(text: str, rng: random.Random) -> str:
    """Swap, drop or double one or two letters."""
    letters = list(text)
    for _ in range(rng.randint(1, 2)):
        places = [i for i in range(1, len(letters) - 1) if letters[i].isalpha() and letters[i + 1].isalpha()]
        if not places:
            break
        place, slip = rng.choice(places), rng.randrange(3)
        if slip == 0:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        elif slip == 1:
            del letters[place]
        else:
            letters.insert(place, letters[place])
    return "".join(letters)


def to_messages(exercise: Exercise, rng: random.Random) -> list[Message]:
    """The exercise as a chat: instruction in the system message, in the user's turns, or left out; cut to a window."""
    draw = rng.random()
    pairs = _that_fit(exercise, repeated=draw >= 0.55)
    if draw < 0.12 and len(pairs) > 1 and exercise.self_evident:
        return _turns(pairs)
    if draw < 0.55:
        return [Message("system", exercise.instruction), *_turns(pairs)]
    if draw < 0.80 or not exercise.self_evident:
        joint = rng.choice(("\n", "\n\n", " "))
        first = 1 if rng.random() < 0.5 else len(pairs)
        return _turns([(f"{exercise.instruction}{joint}{t}" if i < first else t, a) for i, (t, a) in enumerate(pairs)])
    if draw < 0.92:
        return _turns([(f"{t}\n\n{exercise.instruction}", a) for t, a in pairs])
    return _in_one_message(exercise.instruction, pairs, rng)


def _that_fit(exercise: Exercise, *, repeated: bool) -> list[tuple[str, str]]:
    """The first pairs, as many as a window holds; the instruction may stand in every turn."""
    every = 40 + (len(exercise.instruction) if repeated else 0)
    kept: list[tuple[str, str]] = []
    size = len(exercise.instruction)
    for text, answer in exercise.pairs:
        size += len(text) + len(answer) + every
        if kept and size > MOST_CHARACTERS:
            break
        kept.append((text, answer))
    return kept


def _in_one_message(instruction: str, pairs: list[tuple[str, str]], rng: random.Random) -> list[Message]:
    asked, given = rng.choice((("Message", "Label"), ("Text", "Answer"), ("Input", "Output"), ("Q", "A")))
    shown = "\n\n".join(f"{asked}: {t}\n{given}: {a}" for t, a in pairs[:-1])
    text, answer = pairs[-1]
    blocks = [instruction, shown, f"{asked}: {text}\n{given}:"]
    return _turns([("\n\n".join(block for block in blocks if block), answer)])


def _turns(pairs: Sequence[tuple[str, str]]) -> list[Message]:
    return [message for text, answer in pairs for message in (Message("user", text), Message("assistant", answer))]


def shots(rng: random.Random) -> int:
    """How many solved pairs a chat has: often one, sometimes up to a dozen."""
    return rng.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 12))
