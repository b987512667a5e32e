"""Write `lists.txt.xz`: the names, places and ordinary words that the person and address rules look words up in.

Run by hand when a source changes; nothing of it runs in the product. The sources, each pinned:

    Faker 40.54.0      MIT              first and last names of all its countries, cities, countries, street endings
    mimesis 22.2.0     MIT              first and last names of its countries
    names 0.3.0        MIT              US census 1990: first names and the commoner surnames (the counts are public domain)
    textblob 0.20.1    MIT              the Brill lexicon: its lower-case words are taken as ordinary English words

    pip install --no-deps --target SOURCES Faker==40.54.0 mimesis==22.2.0 names==0.3.0 textblob==0.20.1
    python src/tunesmith/data/anonymise/names/build.py SOURCES

Names in Cyrillic and Greek letters are written in Latin ones too. About ten seconds.
"""

import importlib
import json
import lzma
import pkgutil
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FIRST, LAST, WORD, PLACE, COMMON = 1, 2, 4, 8, 16
"""What a word may be: a first name, a surname, an ordinary word, a place, a first name that is common in English."""
SURNAMES = 32_000
"""How many of the census's surnames are taken, commonest first: nine people in ten bear one of these."""
COMMON_NAMES = 400
"""How many first names of each sex are taken as common."""
SHORTEST = 3
TOWNS = 600
"""A country's list of towns that is longer holds its villages too, most of which are surnames somewhere: it is left out."""

GREEK = dict(zip("αβγδεζηθικλμνξοπρστυφχω", re.findall(r"\S+", "a v g d e z i th i k l m n x o p r s t y f ch o"), strict=True)) | {
    "ς": "s"
}
CYRILLIC = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщыьэюяіїєґ",
        re.findall(r"\S+", "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch y - e yu ya i i e g"),
        strict=True,
    )
) | {"ь": "", "ъ": "", "ё": "e"}


def main(sources: str) -> None:
    """Gather, then write one line a word: the word, a tab, the sum of what it may be."""
    sys.path.insert(0, sources)
    found: dict[str, int] = defaultdict(int)
    for flag, names in _faker_names():
        _add(found, names, flag)
    for person in sorted(Path(sources).glob("mimesis/datasets/*/person.json")):
        people = json.loads(person.read_text())
        for flag, key in ((FIRST, "names"), (LAST, "surnames")):
            names = [name for name in _nested(people.get(key, [])) if _alphabet(name)]
            _add(found, names + [_latin(name) for name in names], flag)
    _add(found, _census(Path(sources), "dist.all.last", SURNAMES), LAST)
    for file in ("dist.female.first", "dist.male.first"):
        _add(found, _census(Path(sources), file, 10_000), FIRST)
        _add(found, _census(Path(sources), file, COMMON_NAMES), FIRST | COMMON)
    _add(found, _faker_places(), PLACE)
    _add(found, _words(Path(sources)), WORD)
    lines = "".join(f"{word}\t{flags}\n" for word, flags in sorted(found.items()))
    packed = lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME)
    Path(__file__).with_name("lists.txt.xz").write_bytes(packed)
    print(f"{len(found)} words, {len(packed) / 1000:.0f} kB")


def _add(found: dict[str, int], names: Iterable[str], flag: int) -> None:
    for name in names:
        for part in name.replace("-", " ").replace("’", "'").split():
            part = unicodedata.normalize("NFC", part.strip(".'").lower())
            if len(part) >= SHORTEST and part.replace("'", "").isalpha():
                found[part] |= flag


def _faker_names() -> Iterator[tuple[int, Iterable[str]]]:
    import faker.providers.person as people

    for _, names in _provided(people, ("first_name", "first_romanized")):
        yield FIRST, names
    for _, names in _provided(people, ("last_name", "unisex_last_name", "last_romanized")):
        yield LAST, names


def _faker_places() -> Iterator[str]:
    import faker.providers.address as places

    for kind, names in _provided(places, ("cities", "city_names", "real_city_names", "countries", "states")):
        if kind != "countries" and len(names) > 2 * TOWNS:
            continue
        yield from (name for name in names if " " not in name and "-" not in name)


def _provided(package: Any, starts: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """The lists whose name begins so, of every country, in their own letters and in Latin ones."""
    for country in pkgutil.iter_modules(package.__path__):
        provider = importlib.import_module(f"{package.__name__}.{country.name}").Provider
        for attribute in dir(provider):
            value = getattr(provider, attribute)
            if not attribute.startswith(starts) or isinstance(value, str) or not hasattr(value, "__iter__"):
                continue
            names = [name for name in _strings(value) if _alphabet(name)]
            yield attribute, names + [_latin(name) for name in names]


def _strings(value: Iterable[Any]) -> list[str]:
    flat: list[str] = []
    for item in value:
        flat.extend([item] if isinstance(item, str) else [part for part in item if isinstance(part, str)])
    return flat


def _nested(value: Any) -> list[str]:
    """The strings in lists and mappings, at any depth."""
    if isinstance(value, str):
        return [value]
    return [name for part in (value.values() if isinstance(value, dict) else value) for name in _nested(part)]


def _alphabet(name: str) -> bool:
    """Whether it is written in letters that have capitals: the rules go by these."""
    letters = [letter for letter in name if letter.isalpha()]
    return bool(letters) and all(unicodedata.name(letter, "").startswith(("LATIN", "GREEK", "CYRILLIC")) for letter in letters)


def _latin(name: str) -> str:
    plain = "".join(part for part in unicodedata.normalize("NFD", name.lower()) if not unicodedata.combining(part))
    if plain.isascii():
        return name
    table = {ord(ours): latin for ours, latin in (GREEK | CYRILLIC).items()}
    return plain.translate(table) if any(ord(letter) in table for letter in plain) else name


def _census(sources: Path, file: str, count: int) -> list[str]:
    lines = (sources / "names" / file).read_text().splitlines()
    return [line.split()[0].lower() for line in lines[:count]]


def _words(sources: Path) -> Iterator[str]:
    for line in (sources / "textblob" / "en" / "en-lexicon.txt").read_text().splitlines():
        word, _, tags = line.partition(" ")
        if word.isalpha() and word.islower() and word.isascii() and not tags.startswith("NNP"):
            yield word


if __name__ == "__main__":
    main(sys.argv[1])
