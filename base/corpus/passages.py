"""Exercises of our own making over plain texts: what belongs where, what is missing, what follows, what was said.

Recent and plainly written sources are drawn far more often than their size: the base meets today's short messages,
and most of the plain text is fiction a century old.
"""

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from corpus.exercise import MADE_UP, Exercise, any_style, ask_for, casual, mistype, shots, style_label
from corpus.sources import Document, family, sentences

WEIGHTS = {
    "eltec_eng": 0.24,
    "openstax": 0.34,
    "pratham_books": 0.12,
    "african_storybook": 0.09,
    "cia_factbook": 0.07,
    "us_state_of_the_union": 0.06,
    "us_inaugural": 0.04,
    "tiny_shakespeare": 0.04,
}
GENRES = {
    "eltec_eng": ("novel", "old novel", "fiction"),
    "tiny_shakespeare": ("play", "drama", "theatre"),
    "pratham_books": ("children's story", "story for children"),
    "african_storybook": ("simple story", "village story"),
    "cia_factbook": ("country facts", "geography"),
    "us_state_of_the_union": ("speech", "address to congress"),
    "us_inaugural": ("inaugural speech", "president's oath day"),
    "openstax:life-liberty-and-pursuit-happiness": ("history", "american history"),
    "openstax:principles-economics-bundle": ("economics", "economy"),
    "openstax:introduction-anthropology": ("anthropology", "cultures"),
    "openstax:college-success": ("study skills", "college advice"),
    "openstax:introduction-intellectual-property": ("law", "patents and copyright"),
}
_CLOZE = (
    "Fill in the missing word.",
    "Which word is missing?",
    "What word stands in the gap?",
    "Complete the sentence: give the word for ____.",
)
_FOLLOWING = (
    "Which sentence comes next?",
    "Which of these continues the text?",
    "Pick the sentence that follows. Answer with its letter or number.",
)
_WORD = re.compile(r"[A-Za-z']+")


class PassageForms:
    """Draws exercises from documents; each method makes one."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.paragraphs: dict[str, list[list[str]]] = {}
        self.of_source: dict[str, list[str]] = defaultdict(list)
        self.titles, self.sources = {}, {}
        for document in documents:
            parts = [[s for s in sentences(p) if 25 <= len(s) <= 260] for p in document.text.split("\n\n")]
            parts = [part for part in parts if part]
            if sum(map(len, parts)) >= 4:
                self.paragraphs[document.id] = parts
                self.of_source[document.source].append(document.id)
                self.titles[document.id], self.sources[document.id] = document.title, document.source
        self.families: dict[str, list[str]] = defaultdict(list)
        for source, ids in self.of_source.items():
            self.families[family(source)] += ids
        self.named = {f: ids for f in ("openstax", "cia_factbook", "pratham_books", "african_storybook") if (ids := self._well_named(f))}

    def _well_named(self, of: str) -> list[str]:
        says_little = ("introduction", "preface")
        known = self.families.get(of, [])
        return [i for i in known if 4 <= len(self.titles[i]) <= 40 and self.titles[i].lower() not in says_little]

    def document(self, rng: random.Random) -> str:
        """The id of a document, its source drawn by WEIGHTS."""
        names = sorted(self.families)
        return rng.choice(self.families[rng.choices(names, [WEIGHTS[n] for n in names])[0]])

    def sentence(self, key: str, rng: random.Random) -> str:
        """A sentence of a document; with its own title in it, another is tried."""
        for _ in range(3):
            found = rng.choice(rng.choice(self.paragraphs[key]))
            if self.titles[key].lower() not in found.lower():
                break
        return found

    def run(self, key: str, least: int, rng: random.Random) -> list[str]:
        """Consecutive sentences of a document: of one paragraph where one is long enough."""
        long = [p for p in self.paragraphs[key] if len(p) >= least]
        part = rng.choice(long) if long else [s for p in self.paragraphs[key] for s in p]
        start = rng.randrange(max(1, len(part) - least + 1))
        return part[start : start + least]

    def genre(self, rng: random.Random) -> Exercise:
        """Sentence to kind of text."""
        keys = rng.sample(sorted(self.of_source), min(len(self.of_source), rng.choice((2, 3, 4, 5, 6, 12))))
        style = any_style(rng)
        labels = {key: style_label(rng.choice(GENRES[key]), style) for key in keys}
        pairs = []
        for _ in range(shots(rng)):
            key = rng.choice(keys)
            pairs.append((casual(self.sentence(rng.choice(self.of_source[key]), rng), rng), labels[key]))
        return Exercise("genre", ask_for(rng.sample(list(labels.values()), len(labels)), rng), tuple(pairs), self_evident=True)

    def title(self, rng: random.Random) -> Exercise:
        """Sentence to the title of its text, among a few or many."""
        pool = self.named[rng.choices(sorted(self.named), [6 if n == "openstax" else 2 for n in sorted(self.named)])[0]]
        keys = rng.sample(pool, min(len(pool), rng.choice((2, 2, 3, 3, 4, 5, 6, 8, 12, 20, 30))))
        style = any_style(rng) if rng.random() < 0.7 else "as is"
        plain = {k: re.sub(r"[^a-z0-9 ]", "", self.titles[k].lower()) for k in keys}
        labels = {k: self.titles[k] if style == "as is" else style_label(plain[k], style) for k in keys}
        count = shots(rng)
        turn = (rng.sample(keys, len(keys)) * count)[: count - 1] if rng.random() < 0.5 else [rng.choice(keys) for _ in range(count - 1)]
        chosen = [*turn, rng.choice(turn or keys)]
        pairs = tuple((casual(self.sentence(key, rng), rng), labels[key]) for key in chosen)
        return Exercise("title", ask_for(rng.sample(list(labels.values()), len(labels)), rng), pairs, self_evident=True)

    def made_up_label(self, rng: random.Random) -> Exercise:
        """Sentences of two to four texts under labels that mean nothing: only the examples tell."""
        keys = [self.document(rng) for _ in range(rng.choice((2, 2, 3, 4)))]
        labels = rng.sample(MADE_UP, len(keys))
        chosen = [i % len(keys) for i in range(len(keys) * rng.choice((2, 3, 4)))]
        rng.shuffle(chosen)
        pairs = tuple((self.sentence(keys[i], rng), labels[i]) for i in chosen)
        return Exercise("made-up label", ask_for(labels, rng), pairs, self_evident=True)

    def cloze(self, rng: random.Random) -> Exercise:
        """The missing word, with or without choices."""
        choices, pairs = rng.random() < 0.5, []
        for _ in range(min(6, shots(rng))):
            key = self.document(rng)
            text = " ".join(self.run(key, rng.choice((1, 2)), rng))
            words = [w for w in _WORD.findall(text) if len(w) > 3]
            if not words:
                continue
            word = rng.choice(words)
            shown = re.sub(rf"\b{re.escape(word)}\b", "____", text, count=1)
            others = [w for w in _WORD.findall(self.sentence(self.document(rng), rng)) if len(w) > 3 and w != word][:3]
            options = rng.sample([word, *others], len(others) + 1)
            pairs.append((f"{shown}\nChoices: {', '.join(options)}" if choices else shown, word))
        ask = rng.choice(_CLOZE)
        return Exercise("cloze", ask, tuple(pairs))

    def following(self, rng: random.Random) -> Exercise:
        """Which sentence follows?"""
        letters, pairs = rng.choice(("ABCD", "1234")), []
        for _ in range(min(3, shots(rng))):
            part = self.run(self.document(rng), 3, rng)
            options = [part[-1]] + [self.sentence(self.document(rng), rng) for _ in range(rng.choice((1, 2, 3)))]
            order = rng.sample(range(len(options)), len(options))
            listed = "\n".join(f"{letters[i]}. {options[j]}" for i, j in enumerate(order))
            pairs.append((f"{' '.join(part[:-1])}\n\n{listed}", letters[order.index(0)]))
        ask = rng.choice(_FOLLOWING)
        return Exercise("following", ask, tuple(pairs))

    def same_text(self, rng: random.Random) -> Exercise:
        """Are two sentences from one passage?"""
        yes, no = rng.choice((("yes", "no"), ("same", "different"), ("Yes", "No")))
        pairs = []
        for _ in range(shots(rng)):
            key, same = self.document(rng), rng.random() < 0.5
            part = self.run(key, 2, rng)
            other = part[-1] if same else self.sentence(self.document(rng), rng)
            pairs.append((f"1: {part[0]}\n2: {other}", yes if same else no))
        ask = rng.choice(("Are these from the same text?", "Do the two sentences belong together?", "Same passage or not?"))
        return Exercise("same text", f"{ask} Answer {yes} or {no}.", tuple(pairs), self_evident=True)

    def same_words(self, rng: random.Random) -> Exercise:
        """Is the second a hasty retyping of the first, or another sentence?"""
        yes, no = rng.choice((("yes", "no"), ("same", "different"), ("duplicate", "new")))
        pairs = []
        for _ in range(shots(rng)):
            key = self.document(rng)
            first, same = self.sentence(key, rng), rng.random() < 0.5
            second = first if same else self.sentence(key, rng)
            pairs.append((f"1: {first}\n2: {mistype(second.lower().rstrip('.'), rng)}", yes if same or first == second else no))
        return Exercise("same words", f"Do both say the same? Answer {yes} or {no}.", tuple(pairs), self_evident=True)

    def odd_one(self, rng: random.Random) -> Exercise:
        """Which sentence is from elsewhere?"""
        pairs = []
        for _ in range(min(3, shots(rng))):
            part = self.run(self.document(rng), rng.choice((2, 3)), rng)
            place = rng.randrange(len(part) + 1)
            part.insert(place, self.sentence(self.document(rng), rng))
            pairs.append(("\n".join(f"{i + 1}. {s}" for i, s in enumerate(part)), str(place + 1)))
        ask = rng.choice(("Which one does not belong?", "Find the odd one out.", "One sentence is from another text. Which?"))
        return Exercise("odd one out", f"{ask} Answer with its number.", tuple(pairs))

    def reorder(self, rng: random.Random) -> Exercise:
        """Put sentences back in order."""
        part = self.run(self.document(rng), rng.choice((2, 3)), rng)
        order = rng.sample(range(len(part)), len(part))
        listed = "\n".join(f"{i + 1}. {part[j]}" for i, j in enumerate(order))
        answer = ", ".join(str(order.index(i) + 1) for i in range(len(part)))
        return Exercise("reorder", rng.choice(("Put the sentences in order.", "In which order do these belong?")), ((listed, answer),))

    def find(self, rng: random.Random) -> Exercise:
        """Copying and looking up: words by place, repetition, whether a word is there, which line has it."""
        what, pairs = rng.choice(("first", "last", "after", "repeat", "has", "line", "capital", "number")), []
        for _ in range(shots(rng)):
            text = self.sentence(self.document(rng), rng)
            pair = self._lookup(what, text, rng)
            if pair:
                pairs.append(pair)
        ask = {
            "first": "Give the first word.", "last": "Give the last word.", "after": "Which word comes after the given word?",
            "repeat": "Repeat the text.", "has": "Does the text contain the word? Answer yes or no.", "line": "Which line has the word?",
            "capital": "Write the name or capitalised word from the middle of the text.", "number": "Which number is in the text?",
        }[what]  # fmt: skip
        return Exercise("find", ask, tuple(pairs) or ((text, text),), self_evident=what in ("first", "last", "repeat"))

    def _lookup(self, what: str, text: str, rng: random.Random) -> tuple[str, str] | None:
        words = _WORD.findall(text)
        if len(words) < 4:
            return None
        place = rng.randrange(len(words) - 1)
        if what in ("first", "last"):
            return text, words[0 if what == "first" else -1]
        if what == "after":
            return (f"{text}\nWord: {words[place]}", words[place + 1]) if words.count(words[place]) == 1 else None
        if what == "repeat":
            return text, text
        if what == "has":
            word = rng.choice(words) if rng.random() < 0.5 else rng.choice(_WORD.findall(self.sentence(self.document(rng), rng)) or ["the"])
            return f"{text}\nWord: {word}", "yes" if word.lower() in [w.lower() for w in words] else "no"
        if what == "line":
            lines = [text, *(self.sentence(self.document(rng), rng) for _ in range(2))]
            rng.shuffle(lines)
            word = max(words, key=len)
            return "\n".join(f"{i + 1}. {line}" for i, line in enumerate(lines)) + f"\nWord: {word}", str(lines.index(text) + 1)
        found = re.findall(r"(?<=[a-z,] )[A-Z][a-z]+" if what == "capital" else r"\d[\d,.]*\d|\d", text)
        return (text, found[0]) if len(set(found)) == 1 else None

    def continuation(self, rng: random.Random) -> Exercise:
        """Go on with the text."""
        part = self.run(self.document(rng), rng.choice((3, 4, 5)), rng)
        cut = max(1, len(part) // 2)
        ask = rng.choice(("Continue the text.", "Write what comes next.", "Go on from here.", "Finish this passage."))
        return Exercise("continuation", ask, ((" ".join(part[:cut]), " ".join(part[cut:]) or part[0]),))

    def name_it(self, rng: random.Random) -> Exercise:
        """Write a title."""
        key = rng.choice(self.named[rng.choice(sorted(self.named))])
        ask = rng.choice(("Give this text a title.", "What is this text called?", "Suggest a title.", "Summarise in a few words."))
        return Exercise("name it", ask, ((" ".join(self.run(key, 4, rng)), self.titles[key]),))

    def question_or_not(self, rng: random.Random) -> Exercise:
        """Question or statement, with the mark taken off."""
        names, pairs = rng.choice((("question", "statement"), ("yes", "no"), ("asks", "tells"))), []
        for _ in range(shots(rng)):
            key = self.document(rng)
            asked = [s for p in self.paragraphs[key] for s in p if s.rstrip("\"'").endswith("?")]
            want = rng.random() < 0.5 and bool(asked)
            text = rng.choice(asked) if want else self.sentence(key, rng)
            pairs.append((casual(re.sub(r"[.!?\"']+$", "", text), rng), names[0] if text.rstrip("\"'").endswith("?") else names[1]))
        return Exercise("question or not", f"Is this a question? Answer {names[0]} or {names[1]}.", tuple(pairs), self_evident=True)

    def proofread(self, rng: random.Random) -> Exercise:
        """Restore capitals, marks and letters."""
        pairs = []
        for _ in range(min(4, shots(rng))):
            text = self.sentence(self.document(rng), rng)
            rough = re.sub(r"[,;:\"?!.]", "", text.lower())
            pairs.append((mistype(rough, rng) if rng.random() < 0.6 else rough, text))
        ask = rng.choice(("Correct the text.", "Fix spelling, capitals and punctuation.", "Proofread this."))
        return Exercise("proofread", ask, tuple(pairs))
