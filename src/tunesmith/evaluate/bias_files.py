"""CrowS-Pairs, WinoBias and BBQ read from files as their authors give them, plain or gzip, and checked line by line.

A line that is not as its set has it ends the reading, with the file, the line and the rule; what the line says is never
repeated, since these sets are offensive by design. Holds all of a set at once (the largest has 58,000 short lines), then at
most as many as are asked for. Which model finds what likely is told elsewhere.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tunesmith.core.errors import DataError, MachineError, RecipeError
from tunesmith.core.files import home_path
from tunesmith.core.seeds import derive_seed
from tunesmith.evaluate.bbq_groups import target_of
from tunesmith.evaluate.general import sample
from tunesmith.evaluate.harm_config import BiasConfig

CROWS, WINO, BBQ = "CrowS-Pairs", "WinoBias", "BBQ"
_LONGEST = 2**17
"""Characters of a line, and of a text."""
_MOST_LINES = 10**6
_NUMBERED = re.compile(r"^\s*\d+\s+")
_MENTION = re.compile(r"\[([^\[\]]*)\]")
_PRONOUNS = frozenset({"he", "she", "him", "her", "his", "hers", "himself", "herself"})
_ARTICLE = re.compile(r"^(the|a|an)\s+")
_FILE = re.compile(r"^(pro|anti)_stereotyped_type([12])\.txt\.(dev|test)$")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences that differ in whom they speak of."""

    set: str
    part: str
    """The bias type, or `type 1` or `type 2`."""
    more: str
    """The one that goes with a stereotype."""
    less: str
    unit: str
    """Pairs with the same one are drawn together."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of BBQ with its three answers."""

    category: str
    text: str
    """The context, then the question."""
    answers: tuple[str, str, str]
    right: int
    unknown: int
    """Which of the answers says that nobody can tell."""
    target: int | None
    """Which of them names the group that the stereotype is about; None where the file does not tell one from the other."""
    negative: bool
    ambiguous: bool
    unit: str
    """Its template."""


@dataclass(frozen=True, slots=True)
class BiasSets:
    """What base and tuned model are both asked."""

    pairs: tuple[Pair, ...] = ()
    questions: tuple[Question, ...] = ()
    notes: tuple[str, ...] = ()


def read_bias_sets(config: BiasConfig, *, seed: int) -> BiasSets:
    """Read and check what the section names, and draw the sample.

    Raises:
        RecipeError: nothing is at a path.
        DataError: a file is not as its set has it.
        MachineError: a file may not be read.
    """
    pairs: list[Pair] = []
    notes: list[str] = []
    for name, path, read in ((CROWS, config.crows_pairs, crows_pairs), (WINO, config.winobias, winobias)):
        if path is not None:
            found = list(read(_there(path, name)))
            pairs += sample(found, config.most, derive_seed(seed, "bias", name))
            notes += _drawn(name, "pairs", len(found), config.most)
    asked = [question for path in config.bbq_files for question in bbq(_there(path, BBQ))]
    questions = sample(asked, config.most, derive_seed(seed, "bias", BBQ))
    notes += _drawn(BBQ, "questions", len(asked), config.most)
    unclear = sum(one.target is None for one in questions)
    if unclear:
        notes.append(
            f"Of {unclear} of the {len(questions)} questions of BBQ the file does not tell which answer names the group: no bias score."
        )
    return BiasSets(tuple(pairs), tuple(questions), tuple(notes))


def _drawn(name: str, what: str, count: int, most: int) -> list[str]:
    return [f"{most:,} of the {count:,} {what} of {name} were drawn at random (`evaluate.bias.most`)."] if count > most else []


def _there(path: str, name: str) -> Path:
    place = home_path(path)
    if not place.exists():
        raise RecipeError(f"evaluate.bias names {path} for {name}, and nothing is there: give the file's path.")
    return place


def crows_pairs(place: Path) -> Iterator[Pair]:
    """Pairs of CrowS-Pairs (Nangia et al., 2020).

    `sent_more` is the more stereotyping sentence of every pair, whichever way round `stereo_antistereo` says it was written.
    """
    for number, line in _table(place, ("sent_more", "sent_less", "stereo_antistereo", "bias_type")):
        where = f"{place.name}:{number}"
        more, less, kind = (_text(line[name], where, name) for name in ("sent_more", "sent_less", "bias_type"))
        if line["stereo_antistereo"] not in ("stereo", "antistereo"):
            _refuse(where, "stereo_antistereo must be stereo or antistereo")
        if more == less:
            _refuse(where, "sent_more and sent_less must differ")
        yield Pair(CROWS, kind, more, less, f"line {number}")


def winobias(place: Path) -> Iterator[Pair]:
    """Pairs of WinoBias (Zhao et al., 2018): the same sentence with the pronoun of the one gender and of the other.

    From the folder of its text files, or from one CSV of split, stereotype, type, line_no and sentence. Pairs about the same
    occupation are drawn together.
    """
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for stereotype, key, sentence, where in _winobias_folder(place) if place.is_dir() else _winobias_table(place):
        held = found.setdefault(key, {})
        if stereotype in held:
            _refuse(where, "this line of this split and type is there twice")
        held[stereotype] = sentence
    for (split, kind, line), held in found.items():
        if len(held) < 2:
            there, missing = ("pro", "anti") if "pro" in held else ("anti", "pro")
            raise DataError(
                f"{place.name}: line {line} of {split}, type {kind}, is there as {there} and not as {missing}: both are needed."
            )
        pro, anti = (_MENTION.sub(r"\1", held[name]) for name in ("pro", "anti"))
        if pro == anti:
            raise DataError(f"{place.name}: line {line} of {split}, type {kind}, is the same in pro and anti: one pronoun must differ.")
        yield Pair(WINO, f"type {kind}", pro, anti, _occupation(held["pro"], f"line {line} of {split}, type {kind}"))


def _occupation(sentence: str, otherwise: str) -> str:
    """Whom the pronoun stands for: the first mention in brackets that is none."""
    mentions = [mention.strip().casefold() for mention in _MENTION.findall(sentence)]
    named = [_ARTICLE.sub("", mention) for mention in mentions if mention not in _PRONOUNS]
    return named[0] if named else otherwise


_Line = tuple[str, tuple[str, str, str], str, str]
"""pro or anti; split, type and line; the sentence; where it stands."""


def _winobias_table(place: Path) -> Iterator[_Line]:
    for number, line in _table(place, ("split", "stereotype", "type", "line_no", "sentence")):
        where = f"{place.name}:{number}"
        if line["stereotype"] not in ("pro", "anti") or line["type"] not in ("1", "2"):
            _refuse(where, "stereotype must be pro or anti, and type 1 or 2")
        split, sentence = _text(line["split"], where, "split"), _bracketed(_text(line["sentence"], where, "sentence"), where)
        yield line["stereotype"], (split, line["type"], _text(line["line_no"], where, "line_no")), sentence, where


def _winobias_folder(folder: Path) -> Iterator[_Line]:
    try:
        files = sorted(file for file in folder.iterdir() if _FILE.match(file.name.removesuffix(".gz")))
    except OSError as error:
        raise MachineError(f"{folder} can't be read: {error.strerror or error}.") from error
    if not files:
        raise DataError(f"{folder} holds none of WinoBias' files: they are called pro_stereotyped_type1.txt.dev and so on.")
    for file in files:
        named = _FILE.match(file.name.removesuffix(".gz"))
        assert named is not None
        stereotype, kind, split = named.groups()
        for number, line in enumerate(_lines(file), start=1):
            if line.strip():
                where = f"{file.name}:{number}"
                sentence = _bracketed(_text(_NUMBERED.sub("", line), where, "the line"), where)
                yield stereotype, (split, kind, str(number)), sentence, where


def _bracketed(sentence: str, where: str) -> str:
    if not _MENTION.search(sentence) or re.search(r"[\[\]]", _MENTION.sub("", sentence)):
        _refuse(where, "a sentence must have its mentions in [square brackets], each closed")
    return sentence


def bbq(place: Path) -> Iterator[Question]:
    """Questions of BBQ (Parrish et al., 2022), one category a file."""
    found = 0
    for number, line in enumerate(_lines(place), start=1):
        if line.strip():
            found += 1
            yield _question(line, f"{place.name}:{number}")
    if not found:
        raise DataError(f"{place.name} holds no question: give a JSONL file of BBQ.")


def _question(line: str, where: str) -> Question:
    try:
        held: Any = json.loads(line)
    except (ValueError, RecursionError):
        _refuse(where, "a line must be a JSON object")
    if not isinstance(held, dict):
        _refuse(where, "a line must be a JSON object")
    names = ("category", "context", "question", "ans0", "ans1", "ans2")
    category, context, question, *answers = (_text(held.get(name), where, name) for name in names)
    label = held.get("label")
    if isinstance(label, bool) or label not in (0, 1, 2) or len(set(answers)) < 3:
        _refuse(where, "label must be 0, 1 or 2, and the three answers must differ")
    condition, polarity = held.get("context_condition"), held.get("question_polarity")
    if condition not in ("ambig", "disambig") or polarity not in ("neg", "nonneg"):
        _refuse(where, "context_condition must be ambig or disambig, and question_polarity neg or nonneg")
    infos = _infos(held.get("answer_info"), where)
    unknown = [place for place, info in enumerate(infos) if info[-1].casefold() == "unknown"]
    if len(unknown) != 1:
        _refuse(where, "answer_info must call exactly one answer unknown")
    return Question(
        category=category,
        text=f"{context} {question}",
        answers=(answers[0], answers[1], answers[2]),
        right=int(label),
        unknown=unknown[0],
        target=target_of(infos, _groups(held.get("additional_metadata"), where), unknown[0]),
        negative=polarity == "neg",
        ambiguous=condition == "ambig",
        unit=f"{category} {held.get('question_index', where)}",
    )


def _infos(value: Any, where: str) -> list[tuple[str, ...]]:
    """What is known of each answer: its words, then its group."""
    held = [value.get(f"ans{place}") if isinstance(value, dict) else None for place in range(3)]
    if not all(isinstance(info, list) and info and all(isinstance(part, str) for part in info) for info in held):
        _refuse(where, "answer_info must hold a list of texts for each of ans0, ans1 and ans2")
    return [tuple(info) for info in held if info is not None]


def _groups(value: Any, where: str) -> list[str]:
    held = value.get("stereotyped_groups") if isinstance(value, dict) else None
    if not isinstance(held, list) or not all(isinstance(group, str) for group in held):
        _refuse(where, "additional_metadata must hold stereotyped_groups, a list of texts")
    return held


def _table(place: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Lines of a CSV file with the number of the file's line each ends on; DataError where a column is missing."""
    reader = csv.DictReader(_lines(place), strict=True)
    found = 0
    try:
        names = reader.fieldnames or []
        missing = [name for name in columns if name not in names]
        if missing:
            raise DataError(f"{place.name}:1 has no column {missing[0]}: it needs {', '.join(columns)}.")
        for line in reader:
            found += 1
            if None in line or any(line[name] is None for name in columns):
                _refuse(f"{place.name}:{reader.line_num}", f"a line must have as many cells as the {len(names)} columns")
            yield reader.line_num, line
    except csv.Error as error:
        raise DataError(f"{place.name}:{reader.line_num} is no line of a CSV file: {error}.") from error
    if not found:
        raise DataError(f"{place.name} holds no line beneath its head: give the whole file.")


def _lines(place: Path) -> Iterator[str]:
    """Lines of a text file, packed or not, with their ends; of a bounded length and number."""
    try:
        with (
            gzip.open(place, "rt", encoding="utf-8-sig", newline="")
            if _packed(place)
            else place.open(encoding="utf-8-sig", newline="") as file
        ):
            for number in range(1, _MOST_LINES + 2):
                line = file.readline(_LONGEST)
                if not line:
                    return
                if len(line) == _LONGEST or number > _MOST_LINES:
                    _refuse(f"{place.name}:{number}", f"a file may have {_MOST_LINES:,} lines of under {_LONGEST:,} characters")
                yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{place.name} is not UTF-8: save it as UTF-8.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{place.name} is a damaged gzip file: fetch it again.") from error
    except OSError as error:
        raise MachineError(f"{place} can't be read: {error.strerror or error}.") from error


def _packed(place: Path) -> bool:
    with place.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _text(value: Any, where: str, name: str) -> str:
    """A text that can be read: some characters, none of them half of one."""
    if not isinstance(value, str) or not value.strip() or any("\ud800" <= character <= "\udfff" for character in value):
        _refuse(where, f"{name} must be a text")
    return str(value).strip()


def _refuse(where: str, rule: str) -> NoReturn:
    raise DataError(f"{where}: {rule}. Give the set as its authors published it.")
