"""Writes the embedded sample: about 2,000 messages to Mossgate Garden Supplies, a shop that does not exist.

`writing.py` makes clean messages, this script plants the dirt (`DIRT`); README.md tells why each is there. The same files and
the same seed give the same bytes.

    python examples/sample/make_sample.py          writes src/tunesmith/embedded/sample/tickets.jsonl
    python examples/sample/make_sample.py --check  exits 1 where that file is not what this script makes
"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from writing import HERE, Composer, Writer, fold, pick, sentences, shuffled, slip, template_id, written_templates

TARGET = HERE.parents[1] / "src" / "tunesmith" / "embedded" / "sample" / "tickets.jsonl"
SEED = 20260

INTENTS = {
    "track parcel": 290,
    "late refund": 220,
    "send back": 200,
    "cancel order": 180,
    "damaged": 165,
    "new address": 150,
    "missing item": 135,
    "wrong item": 120,
    "change order": 100,
    "wrong charge": 88,
    "check return": 74,
    "choose day": 66,
    "no action": 50,
}
"""Distinct messages of each intent, before dirt."""

CONFUSED = {
    "track parcel": ["missing item", "check return", "choose day"],
    "late refund": ["send back", "wrong charge", "check return"],
    "send back": ["late refund", "wrong item", "cancel order"],
    "cancel order": ["send back", "change order", "late refund"],
    "damaged": ["send back", "missing item", "wrong item"],
    "new address": ["choose day", "change order", "track parcel"],
    "missing item": ["damaged", "track parcel", "wrong item"],
    "wrong item": ["damaged", "missing item", "send back"],
    "change order": ["cancel order", "new address", "wrong item"],
    "wrong charge": ["late refund", "cancel order"],
    "check return": ["late refund", "track parcel", "send back"],
    "choose day": ["new address", "track parcel"],
    "no action": ["track parcel", "late refund"],
}
"""What somebody tired of labelling would have written instead."""

DIRT = {
    "exact duplicate": 64,
    "conflicting duplicate": 6,
    "near duplicate": 80,
    "mojibake": 60,
    "missing message": 12,
    "missing intent": 14,
    "wrong label": 42,
}
"""How many rows carry each fault; a row carries one at most. A conflicting duplicate repeats a message under another intent."""

ROWS_PER_COMPOSED_TEMPLATE = 1.5
CHANNELS = ["email", "email", "email", "web form", "web form", "chat", "app"]
FIRST_DAY = datetime(2026, 1, 5, 7, 0, 0)
DAYS = 150


@dataclass(frozen=True, slots=True)
class Ticket:
    """One row, and the truth about it that the file does not tell."""

    message: str | None
    intent: str | None
    template: str
    channel: str
    received: datetime
    reply: str
    true_intent: str
    clean: str
    """The message before its encoding was broken or it was lost."""
    fault: str = ""
    """A key of DIRT, or nothing."""

    def line(self, number: int) -> str:
        """The row as a line of JSON."""
        row = {
            "id": f"t{number:04d}",
            "message": self.message,
            "intent": self.intent,
            "template": self.template,
            "channel": self.channel,
            "received": self.received.isoformat() + "Z",
            "reply": self.reply,
        }
        return json.dumps(row, ensure_ascii=False)


def clean_tickets(rng: Random) -> list[Ticket]:
    """Distinct messages in random order: each template written by hand once, composed ones for the rest of the intent."""
    writer, composer = Writer(rng), Composer(rng)
    replies: dict[str, list[str]] = json.loads((HERE / "replies.json").read_text(encoding="utf-8"))
    seen: set[str] = set()
    tickets: list[Ticket] = []
    for intent, count in INTENTS.items():
        written = written_templates(intent)
        composed = composer.templates(intent, int((count - len(written)) / ROWS_PER_COMPOSED_TEMPLATE))
        for place in range(count):
            template = written[place] if place < len(written) else composed[place % len(composed)]
            message = writer.message(template)
            while fold(message) in seen:
                message = writer.message(template)
            seen.add(fold(message))
            received = FIRST_DAY + timedelta(seconds=int(rng.random() * DAYS * 86400))
            reply = pick(rng, replies[intent])
            tickets.append(Ticket(message, intent, template_id(template), pick(rng, CHANNELS), received, reply, intent, message))
    return shuffled(rng, tickets)


def mojibake(text: str) -> str | None:
    """The text as it looks when UTF-8 is read as Windows-1252; None where that changes nothing or cannot be done."""
    try:
        garbled = text.encode("utf-8").decode("cp1252")
    except UnicodeDecodeError:
        return None
    return garbled if garbled != text else None


def near_copy(rng: Random, text: str, taken: set[str]) -> str:
    """The message sent again with a slip, another greeting or more exclamation marks: not equal to any in `taken`."""
    while True:
        style = rng.random()
        if style < 0.4:
            copy = slip(rng, text)
        elif style < 0.6:
            copy = pick(rng, ["Hi again. ", "Second try: ", "Hello? ", "As I wrote before: "]) + text
        elif style < 0.8:
            copy = text.rstrip(".!?") + pick(rng, ["!!", "...", " !", "??"])
        else:
            copy = text + pick(rng, [" Hello?", " Anyone there?", " Thanks again.", " (Sent from my phone)"])
        if fold(copy) not in taken:
            taken.add(fold(copy))
            return copy


def soiled(rng: Random, tickets: list[Ticket]) -> list[Ticket]:
    """The tickets with the faults of DIRT: some rows changed, copies added."""
    taken = {fold(ticket.clean) for ticket in tickets}
    garbled = {i: text for i, ticket in enumerate(tickets) if (text := mojibake(ticket.clean))}
    encoding = shuffled(rng, list(garbled))[: DIRT["mojibake"]]
    rest = shuffled(rng, [i for i in range(len(tickets)) if i not in set(encoding)])
    hit = {i: replace(tickets[i], message=garbled[i], fault="mojibake") for i in encoding}
    for place in range(DIRT["missing message"]):
        i = rest.pop()
        hit[i] = replace(tickets[i], message=[None, "", "  "][place % 3], fault="missing message")
    for place in range(DIRT["missing intent"]):
        i = rest.pop()
        hit[i] = replace(tickets[i], intent=[None, ""][place % 2], fault="missing intent")
    for _ in range(DIRT["wrong label"]):
        i = rest.pop()
        hit[i] = replace(tickets[i], intent=pick(rng, CONFUSED[tickets[i].true_intent]), fault="wrong label")
    copies = []
    for fault in ("exact duplicate", "conflicting duplicate", "near duplicate"):
        for _ in range(DIRT[fault]):
            original = tickets[rest.pop()]
            later = original.received + timedelta(seconds=60 + int(rng.random() * 3 * 86400))
            copy = replace(original, received=later, channel=pick(rng, CHANNELS), fault=fault)
            if fault == "conflicting duplicate":
                copy = replace(copy, intent=pick(rng, CONFUSED[original.true_intent]))
            if fault == "near duplicate":
                text = near_copy(rng, original.clean, taken)
                copy = replace(copy, message=text, clean=text)
            copies.append(copy)
    return [hit.get(i, ticket) for i, ticket in enumerate(tickets)] + copies


def build(seed: int = SEED) -> list[Ticket]:
    """Every row of the sample with the truth about it, in the order of the file."""
    rng = Random(seed)
    return sorted(soiled(rng, clean_tickets(rng)), key=lambda ticket: ticket.received)


def render(tickets: list[Ticket], seed: int = SEED) -> bytes:
    """The file: one line a ticket, and the lines of broken_lines.txt among them."""
    rng = Random(seed + 1)
    lines = [ticket.line(number) for number, ticket in enumerate(tickets, start=1)]
    for broken in sentences(HERE / "broken_lines.txt"):
        lines.insert(int(rng.random() * (len(lines) + 1)), broken)
    return ("\n".join(lines) + "\n").encode("utf-8")


def write(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the embedded sample data.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file differs")
    content = render(build())
    if parser.parse_args().check:
        same = TARGET.is_file() and TARGET.read_bytes() == content
        print(f"{TARGET} is {'what this script makes' if same else 'not what this script makes: run it without --check'}")
        return 0 if same else 1
    write(TARGET, content)
    print(f"{TARGET}: {len(content.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
