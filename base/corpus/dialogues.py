"""Chats and exercises made from task dialogues: replies, intents, services, speakers, what a message does.

The dialogues carry intents by conversation, not by turn: an opening message gets the first intent; another message gets
a service only where its words point clearly to one of the conversation's services.
"""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from corpus.exercise import MADE_UP, Exercise, any_style, ask_for, casual, shots, style_label
from corpus.names import INTENTS, SERVICES
from corpus.sources import Dialogue
from tunesmith.core.rows import Message

_ASSISTANT = (
    "You are a helpful assistant.",
    "You are a friendly booking assistant.",
    "Help the customer.",
    "You help customers with {services}.",
    "You are an assistant for {services}. Be brief.",
)
_SAME = ("Do both messages want the same thing?", "Same intent or not?", "Do these two customers ask for the same kind of help?")
_NEXT = ("Which reply comes next?", "Choose the reply that follows. Answer with its letter or number.")
_WANTS = ("What does the customer want?", "Name the intent of this conversation.", "Why did the customer write?")
_TOPIC = ("Which department is this for?", "What is this conversation about?", "Name the topic.")
_WRITE = ("Write a customer message about this.", "Give an example message for this label.", "What might a customer write?")
_ACTS = {
    "thanks": re.compile(r"^(thanks|thank you|many thanks|i appreciate)\b[^?]*$", re.I),
    "confirm": re.compile(r"^(yes|yeah|yep|sure|correct|right|okay|ok|sounds good|that works|perfect)\b[^?]*$", re.I),
    "decline": re.compile(r"^(no|nope|not)\b[^?]*$", re.I),
    "question": re.compile(r"^[^.!]*\?$"),
    "request": re.compile(r"^(i want|i need|i'd like|i would like|find|search|book|please|show)\b[^?]*$", re.I),
}


def service_of(name: str) -> str:
    """`Restaurants_1` is of `Restaurants`."""
    return name.rsplit("_", 1)[0]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


class DialogueForms:
    """Everything that can be asked about a set of dialogues; each method draws one chat or exercise."""

    def __init__(self, dialogues: Sequence[Dialogue]) -> None:
        self.dialogues = list(dialogues)
        self.openings = self._openings()
        self.by_service = self._by_service()
        self.acts = self._by_act()

    def _openings(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for dialogue in self.dialogues:
            if len(dialogue.turns[0]) > 20:
                found[dialogue.intents[0]].append(dialogue.turns[0])
        return {intent: texts for intent, texts in found.items() if len(texts) >= 2}

    def _by_service(self) -> dict[str, list[str]]:
        """User messages by service: the opening by its intent, others by the log-odds of their words where clearly ahead."""
        serves = {d.intents[0]: service_of(d.services[0]) for d in self.dialogues if len(d.services) == 1}
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for dialogue in self.dialogues:
            for service in {service_of(name) for name in dialogue.services}:
                for turn in dialogue.turns[::2]:
                    counts[service].update(_words(turn))
        total = sum(counts.values(), Counter[str]())
        sizes, size = {s: sum(c.values()) for s, c in counts.items()}, sum(total.values())
        found: dict[str, list[str]] = defaultdict(list)
        for dialogue in self.dialogues:
            candidates = sorted({service_of(name) for name in dialogue.services})
            if dialogue.intents[0] in serves:
                found[serves[dialogue.intents[0]]].append(dialogue.turns[0])
            for turn in dialogue.turns[2::2]:
                words = sorted(word for word in _words(turn) if total[word] >= 15)
                odds = {
                    s: sum(max(0.0, math.log((counts[s][w] + 1) / sizes[s] * size / total[w]) - 0.5) for w in words) for s in candidates
                }
                best, *rest = sorted(odds.values(), reverse=True)
                acts = any(pattern.match(turn) for act, pattern in _ACTS.items() if act in ("thanks", "confirm", "decline"))
                if best > 1.5 and (not rest or best - rest[0] > 1.0) and len(turn) > 20 and not acts:
                    found[max(odds, key=lambda s: odds[s])].append(turn)
        return {service: texts for service, texts in sorted(found.items()) if len(texts) >= 2}

    def _by_act(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for dialogue in self.dialogues:
            for turn in dialogue.turns[::2]:
                acts = [act for act, pattern in _ACTS.items() if pattern.match(turn)]
                if len(acts) == 1:
                    found[acts[0]].append(turn)
        return dict(found)

    def conversation(self, dialogue: Dialogue, rng: random.Random) -> list[Message]:
        """The dialogue as it stands, sometimes under a system message."""
        head: list[Message] = []
        if rng.random() < 0.6:
            services = " and ".join(rng.choice(SERVICES[service_of(name)]) for name in dialogue.services)
            head = [Message("system", rng.choice(_ASSISTANT).format(services=services))]
        loose = rng.random() < 0.3
        turns = [casual(t, rng) if loose and i % 2 == 0 else t for i, t in enumerate(dialogue.turns)]
        return head + [Message("assistant" if i % 2 else "user", turn) for i, turn in enumerate(turns)]

    def label_set(self, names: dict[str, tuple[str, ...]], present: Sequence[str], most: int, rng: random.Random) -> dict[str, str]:
        """A drawn set of 2..most labels, each under one drawn name, all in one spelling."""
        chosen = rng.sample(sorted(present), min(len(present), rng.choice((2, 3, 4, 5, 6, 8, 10, 16, most))))
        style = any_style(rng)
        return {key: style_label(rng.choice(names[key]) if rng.random() < 0.6 else names[key][0], style) for key in chosen}

    def _classification(self, kind: str, pool: dict[str, list[str]], names: dict[str, tuple[str, ...]], rng: random.Random) -> Exercise:
        labels = self.label_set(names, list(pool), len(pool), rng)
        if len(labels) <= 5 and rng.random() < 0.25:  # labels that mean nothing: only the examples tell
            labels = dict(zip(labels, rng.sample(MADE_UP, len(labels)), strict=True))
            return self._pairs(kind, pool, labels, rng, rng.randint(2 * len(labels), 3 * len(labels) + 2))
        return self._pairs(kind, pool, labels, rng, shots(rng))

    @staticmethod
    def _pairs(kind: str, pool: dict[str, list[str]], labels: dict[str, str], rng: random.Random, count: int) -> Exercise:
        keys = list(labels)
        if count > 1 and rng.random() < 0.5:  # by label in turn, as the product's few-shot prompts are; the last one is free
            keys = [*(rng.sample(keys, len(keys)) * (count // len(keys) + 1))[: count - 1], rng.choice(keys)]
        else:
            keys = [rng.choice(keys) for _ in range(count)]
        pairs = tuple((casual(rng.choice(pool[key]), rng), labels[key]) for key in keys)
        order = sorted(labels.values()) if rng.random() < 0.5 else rng.sample(list(labels.values()), len(labels))
        return Exercise(kind, ask_for(order, rng), pairs, self_evident=True)

    def intent(self, rng: random.Random) -> Exercise:
        """Opening message to intent."""
        return self._classification("intent", self.openings, INTENTS, rng)

    def service(self, rng: random.Random) -> Exercise:
        """User message to service."""
        return self._classification("service", self.by_service, SERVICES, rng)

    def act(self, rng: random.Random) -> Exercise:
        """Does the message thank, confirm, decline, ask or request?"""
        names: dict[str, tuple[str, ...]] = {act: (act,) for act in self.acts}
        return self._classification("act", self.acts, names, rng)

    def same_intent(self, rng: random.Random) -> Exercise:
        """Do two messages ask for the same thing?"""
        yes, no = rng.choice((("yes", "no"), ("same", "different"), ("Yes", "No"), ("true", "false")))
        ask = rng.choice(_SAME)
        pairs = []
        for _ in range(shots(rng)):
            one, other = rng.sample(sorted(self.openings), 2)
            same = rng.random() < 0.5
            texts = rng.sample(self.openings[one], 2) if same else [rng.choice(self.openings[one]), rng.choice(self.openings[other])]
            pairs.append((f"1: {casual(texts[0], rng)}\n2: {casual(texts[1], rng)}", yes if same else no))
        return Exercise("same intent", f"{ask} Answer {yes} or {no}.", tuple(pairs), self_evident=True)

    def speaker(self, rng: random.Random) -> Exercise:
        """Was it the customer or the agent?"""
        names = rng.choice((("customer", "agent"), ("user", "assistant"), ("client", "clerk")))
        pairs = []
        for _ in range(shots(rng)):
            turns, side = rng.choice(self.dialogues).turns, rng.randrange(2)
            pairs.append((rng.choice(turns[side::2][:-1] or turns[side::2]), names[side]))
        return Exercise("speaker", f"Who says this: {names[0]} or {names[1]}?", tuple(pairs), self_evident=True)

    def next_reply(self, rng: random.Random) -> Exercise:
        """Which reply follows?"""
        letters = rng.choice(("ABCD", "1234"))
        pairs = []
        for _ in range(min(4, shots(rng))):
            turns = rng.choice(self.dialogues).turns
            place = rng.randrange(1, len(turns))
            options = [turns[place]] + [rng.choice(rng.choice(self.dialogues).turns[1::2]) for _ in range(rng.choice((1, 2, 3)))]
            order = rng.sample(range(len(options)), len(options))
            listed = "\n".join(f"{letters[i]}. {options[j]}" for i, j in enumerate(order))
            before = "\n".join(turns[max(0, place - 3) : place])
            answer = letters[order.index(0)]
            pairs.append((f"{before}\n\n{listed}", answer))
        return Exercise("next reply", rng.choice(_NEXT), tuple(pairs))

    def topic_of_conversation(self, rng: random.Random) -> Exercise:
        """A whole conversation to its services or intents."""
        dialogue = rng.choice(self.dialogues)
        talk = "\n".join(f"{'Agent' if i % 2 else 'Customer'}: {turn}" for i, turn in enumerate(dialogue.turns[:10]))
        style = any_style(rng)
        if rng.random() < 0.5:
            wanted = ", ".join(style_label(rng.choice(INTENTS[intent]), style) for intent in dialogue.intents[:1])
            return Exercise("conversation", rng.choice(_WANTS), ((talk, wanted),))
        wanted = style_label(rng.choice(SERVICES[service_of(dialogue.services[0])]), style)
        return Exercise("conversation", rng.choice(_TOPIC), ((talk, wanted),))

    def opposite_label(self, rng: random.Random) -> Exercise:
        """From a label to a message: the same mapping the other way round."""
        pool, names = rng.choice(((self.openings, INTENTS), (self.by_service, SERVICES)))
        pairs = []
        for _ in range(shots(rng)):
            key = rng.choice(sorted(pool))
            pairs.append((rng.choice(names[key]), rng.choice(pool[key])))
        return Exercise("write message", rng.choice(_WRITE), tuple(pairs))
