"""What a card says of why the model answered so: a text whose words are coloured by what they did, and the rows that taught it.

Colours never stand alone: what speaks against an answer is blue and underlined with dots, what speaks for it orange and plain. The
five strengths are shares of the strongest word of the same text.
"""

from dataclasses import dataclass

from pydantic import Field

from tunesmith.report import figures
from tunesmith.report.shape import Number, Part, Report, part_of
from tunesmith.report.text import label, one_line, passage, visible

LONGEST = 1500
"""Characters of a text that are shown."""
STRENGTHS = 5
FAINT = 0.08
"""Words below this share of the strongest one are left plain."""


class Teacher(Part):
    """A training row beside an answer."""

    row_id: str = ""
    answer: str = ""
    text: str = ""
    value: Number = None
    duplicate: bool = False


class Answer(Part):
    """An answer with its reasons."""

    row_id: str = ""
    right: bool = False
    reference: str = ""
    answer: str = ""
    confidence: Number = None
    figure: str = ""
    words: list[tuple[str, Number]] = Field(default=[])
    blank: Number = None
    whole: Number = None
    missed: Number = None
    fails: str | None = None
    nearest: list[Teacher] = Field(default=[])
    toward: list[Teacher] = Field(default=[])
    against: list[Teacher] = Field(default=[])


class Explained(Part):
    sentences: list[str] = Field(default=[])
    rows: list[Answer] = Field(default=[])
    suspects: list[Teacher] = Field(default=[])


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    tone: str
    """`p1` to `p5` for, `m1` to `m5` against, empty for neither."""
    tip: str


@dataclass(frozen=True, slots=True)
class TeacherView:
    text: str
    answer: str
    value: str
    duplicate: bool
    row_id: str


@dataclass(frozen=True, slots=True)
class AnswerView:
    right: bool
    answer: str
    reference: str
    confidence: str
    row_id: str
    words: list[Word]
    left: str
    """What is not shown, in words."""
    told: str
    """What the words add up to."""
    fails: str
    taught: list[tuple[str, list[TeacherView]]]
    """How rows stand to the answer, and the rows."""


@dataclass(frozen=True, slots=True)
class Why:
    sentences: list[str]
    coloured: bool
    groups: list[tuple[str, list[AnswerView]]]
    suspects: list[TeacherView]


def why(report: Report) -> Why | None:
    """Why some answers came to be; None where nobody asked."""
    found = part_of(report, "explained", Explained)
    if found is None:
        return None
    views = [_answer(one) for one in found.rows]
    groups = [("Wrong answers", [one for one in views if not one.right]), ("Right answers", [one for one in views if one.right])]
    return Why(
        [one_line(sentence, 400) for sentence in found.sentences],
        any(not one.fails for one in views),
        [group for group in groups if group[1]],
        [_teacher(one, share=True) for one in found.suspects],
    )


def _answer(one: Answer) -> AnswerView:
    words, left = _words(one)
    told = ""
    if not one.fails and one.blank is not None and one.whole is not None:
        ends = f"{one.blank:+.2f} with the text blanked, {one.whole:+.2f} as it stands"
        told = f"{one_line(one.figure, 200)}: {ends}; the words tell the difference to within {100 * (one.missed or 0):.1f}%"
    groups = [
        ("Pushed toward this answer, as a share of the strongest push", [_teacher(row, share=True) for row in one.toward]),
        ("Pushed against it, likewise", [_teacher(row, share=True) for row in one.against]),
        ("Most alike in its eyes, by the cosine of its states", [_teacher(row) for row in one.nearest]),
    ]
    return AnswerView(
        right=one.right,
        answer=label(one.answer, 200),
        reference=label(one.reference, 200),
        confidence="" if one.confidence is None else figures.share(one.confidence, 1.0),
        row_id=one_line(one.row_id, 60),
        words=words,
        left=left,
        told=told,
        fails=one_line(one.fails or "", 400),
        taught=[group for group in groups if group[1]],
    )


def _words(one: Answer) -> tuple[list[Word], str]:
    """The pieces that fit, each with its tone; and what the rest is."""
    strongest = max((abs(value) for _, value in one.words if value is not None), default=0.0)
    shown: list[Word] = []
    used = 0
    for text, value in one.words:
        used += len(text)
        if used > LONGEST:
            break
        shown.append(_word(text, None if one.fails else value, strongest))
    rest = one.words[len(shown) :]
    if not rest:
        return shown, ""
    total = sum(abs(value) for _, value in one.words if value is not None)
    share = sum(abs(value) for _, value in rest if value is not None)
    strength = f", with {figures.share(share, total)} of what words did" if total and not one.fails else ""
    return shown, f"… {figures.whole(sum(len(text) for text, _ in rest))} more characters{strength}"


def _word(text: str, value: float | None, strongest: float) -> Word:
    share = 0.0 if value is None or strongest <= 0 else value / strongest
    if abs(share) < FAINT:
        return Word(visible(text), "", "")
    step = min(STRENGTHS, 1 + int(abs(share) * STRENGTHS))
    return Word(visible(text), f"{'p' if share > 0 else 'm'}{step}", f"{value:+.2f}")


def _teacher(row: Teacher, *, share: bool = False) -> TeacherView:
    text, left = passage(row.text, 300)
    value = "" if row.value is None else f"{100 * row.value:+.0f}%" if share else f"{row.value:.2f}"
    return TeacherView(text + ("…" if left else ""), label(row.answer, 120), value, row.duplicate, one_line(row.row_id, 60))
