"""Which answer of a BBQ question names the group that the stereotype is about.

The public files hold, for each answer, its words and its group (`answer_info`), and the groups of the stereotype
(`additional_metadata.stereotyped_groups`); which answer is meant follows from matching the two, by names that differ between
the files: `F` and `woman`, `lowSES` and `low SES`, `M-Black` and `Black`. The authors' own table of places is made by such a
matching (their script BBQ_results_metadata). Where no answer matches, or two do, nothing is guessed.
"""

import re
from collections.abc import Sequence

_SAME = {
    **dict.fromkeys(("f", "woman", "women", "girl", "girls", "female"), "f"),
    **dict.fromkeys(("m", "man", "men", "boy", "boys", "male"), "m"),
}
_GENDERED = re.compile(r"^[mf]-")


def target_of(infos: Sequence[Sequence[str]], groups: Sequence[str], unknown: int) -> int | None:
    """The place of the answer about the stereotyped group; None where the groups don't tell exactly one.

    Args:
        infos: of each answer, its words and its group, the group last.
        groups: the stereotyped groups.
        unknown: the place of the answer that names nobody.
    """
    others = [place for place in range(len(infos)) if place != unknown]
    plainly = {_plain(group) for group in groups}
    alike = {_alike(group) for group in groups}
    for matches in (
        [place for place in others if _plain(infos[place][-1]) in plainly],
        [place for place in others if _alike(infos[place][-1]) in alike],
        [place for place in others if any(_alike(part) in alike for part in infos[place])],
    ):
        if len(matches) == 1:
            return matches[0]
    return None


def _plain(name: str) -> str:
    return name.casefold().strip("{} ")


def _alike(name: str) -> str:
    """A group's name by which it is known again in any of the files."""
    bare = _GENDERED.sub("", _plain(name))
    joined = re.sub(r"[\s_\-]+", "", bare)
    return "trans" if joined.startswith("trans") else _SAME.get(joined, joined)
