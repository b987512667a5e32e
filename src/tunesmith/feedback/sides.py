"""Which opinions may train the next round and which judge it: by whoever gave them and by what was asked, before anybody reviews them.

A user stands on one side, whatever they ask, and so does a prompt with all its near copies, whoever asks. Both are settled by the first
opinion that comes, from a seeded hash, kept near the share asked for; the first user trains. An opinion whose user stands on one side and
whose prompt on the other would tie the two together: it is `torn`, and does neither. Looked at are near pairs, not chains of them, so a
later opinion that joins two clusters moves nothing that stands: what was written stays (`ledger.sides`).

An opinion that can neither train nor judge settles nothing and has no side: comments, and what is quarantined or rejected before it was
placed. What leaves quarantine is placed then, after all that stands.

Opinions that nobody can be named for (no key, a file without users) go by their prompt alone, as does what a reviewer wrote. A key is one
user, unless it is trusted to name its own (`tunesmith keys users`).
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.core.hashing import digest
from tunesmith.data.fold import fold
from tunesmith.feedback.votes import who
from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.ledger.sides import FeedbackSide, SideRecord

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger

User = tuple[str, ...]
"""Tenant and key; of a key that names its users the hash of one, too."""
_TRIES = 20


def settles(record: FeedbackRecord) -> bool:
    """Whether an opinion can train or judge as it stands now, so that it may settle where its user and its prompt stand."""
    return record.kind in ("label", "correction", "thumbs", "preference") and record.state not in ("quarantined", "rejected")


def user_of(record: FeedbackRecord) -> User | None:
    """Whoever gave it; None where nobody can be named, or a reviewer wrote it."""
    if record.key_id in ("", "import:") or record.key_id.startswith("review:"):
        return None
    return who(record) if record.asker is None else (*who(record), record.asker)


def asked(record: FeedbackRecord) -> str:
    """What was asked, folded: the user's last words; empty where they are not known."""
    turns = record.prompt or ()
    return fold(next((turn.content for turn in reversed(turns) if turn.role == "user"), turns[-1].content if turns else ""))


class Divide:
    """Places opinions one after the other."""

    def __init__(self, share: float) -> None:
        """`share`: of opinions that judge."""
        self._share = share
        self._users: dict[User, FeedbackSide] = {}
        self._prompts: dict[int, FeedbackSide] = {}
        self._held: Counter[str] = Counter()

    def take(self, record: FeedbackRecord, prompt: int, stands: SideRecord) -> None:
        """One that was placed before."""
        user = user_of(record)
        if user is not None and stands.user_side is not None:
            self._users.setdefault(user, stands.user_side)
        if stands.side != "torn" and record.kind != "comment":
            self._prompts.setdefault(prompt, stands.side)
        self._held[stands.side] += 1

    def place(self, record: FeedbackRecord, prompt: int, near: Iterable[int], size: int) -> tuple[FeedbackSide, FeedbackSide | None]:
        """The side of an opinion, and of its user.

        Args:
            record: the opinion.
            prompt: number of its prompt's text.
            near: numbers of texts that are nearly the same.
            size: how many opinions its user gave.
        """
        user = user_of(record)
        if user is not None and user not in self._users:
            self._users[user] = self._drawn(["user", *user], size)
        of_user = None if user is None else self._users[user]
        sides = {self._prompts[one] for one in (prompt, *near) if one in self._prompts}
        if of_user is not None:
            sides.add(of_user)
        side: FeedbackSide = next(iter(sides)) if len(sides) == 1 else "torn" if sides else self._drawn(["prompt", asked(record)], 1)
        if side != "torn":
            self._prompts[prompt] = side
        return side, of_user

    def _drawn(self, name: Sequence[str], size: int) -> FeedbackSide:
        """By hash, unless that would leave the sides far out of proportion."""
        room = self._share * (self._held["train"] + self._held["judge"] + size) - self._held["judge"]
        picked = int(digest(["side", *name])[:12], 16) < self._share * 16**12
        side: FeedbackSide = "judge" if (picked and size <= 2 * room) or size <= room else "train"
        self._held[side] += size
        return side


def placed(records: Sequence[FeedbackRecord], stand: Mapping[str, SideRecord], drawn: Mapping[str, bool], share: float) -> list[SideRecord]:
    """Sides of the opinions that have none yet, and may settle one (`settles`).

    Args:
        records: all opinions, in the order they came; near copies are looked for among all of them.
        stand: id -> where those stand that were placed before.
        drawn: id -> whether its request was drawn at random; of the others.
        share: of opinions that judge.
    """
    records = [record for record in records if record.id in stand or settles(record)]
    if all(record.id in stand for record in records):
        return []
    texts: dict[str, int] = {}
    prompts = [texts.setdefault(asked(record) or f"\0{record.completion_id}", len(texts)) for record in records]
    near = near_texts(list(texts))
    sizes = Counter(user_of(record) for record in records if record.id not in stand)
    divide = Divide(share)
    for record, prompt in zip(records, prompts, strict=True):
        if record.id in stand:
            divide.take(record, prompt, stand[record.id])
    made = []
    for record, prompt in zip(records, prompts, strict=True):
        if record.id not in stand:
            side, of_user = divide.place(record, prompt, near.get(prompt, ()), sizes[user_of(record)])
            made.append(SideRecord(feedback_id=record.id, side=side, user_side=of_user, drawn=drawn.get(record.id, False)))
    return made


def near_texts(texts: Sequence[str]) -> dict[int, list[int]]:
    """Place of a text -> places of those nearly the same, among texts that all differ. Scratch files lie in the system's temporary folder."""
    from tunesmith.data.near import NearDuplicates
    from tunesmith.data.settings.dedup import NearConfig

    found: dict[int, list[int]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        finder = NearDuplicates(NearConfig(), Path(folder), seed=0)
        finder.add(texts)
        pairs = finder.clusters().near
        for one, other in zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True):
            found[one].append(other)
            found[other].append(one)
    return found


def place_all(ledger: "Ledger", share: float) -> dict[str, SideRecord]:
    """Write the sides of all opinions that settle one and have none; returns id -> side of all.

    Whether a request was drawn is looked up now: its record is kept for a time only.
    """
    for _ in range(_TRIES):
        stand = {one.feedback_id: one for one in ledger.feedback_sides.list()}
        records = ledger.feedback.list()
        new = [record for record in records if record.id not in stand and settles(record)]
        if not new:
            return stand
        drawn = {record.id: _was_drawn(ledger, record) for record in new}
        made = placed(records, stand, drawn, share)
        if ledger.feedback_sides.freeze(made, known=len(stand)):
            return stand | {one.feedback_id: one for one in made}
    return {one.feedback_id: one for one in ledger.feedback_sides.list()}


def foreseen_sides(ledger: "Ledger", records: Sequence[FeedbackRecord], share: float) -> dict[str, SideRecord]:
    """What `place_all` would return if all opinions stood as `records` do; writes nothing."""
    stand = {one.feedback_id: one for one in ledger.feedback_sides.list()}
    drawn = {record.id: _was_drawn(ledger, record) for record in records if record.id not in stand and settles(record)}
    return stand | {one.feedback_id: one for one in placed(records, stand, drawn, share)}


def _was_drawn(ledger: "Ledger", record: FeedbackRecord) -> bool:
    request = None if record.completion_id.startswith("import") else ledger.requests.find(record.completion_id, record.choice)
    return request is not None and request.sampled
