"""The text translated by an engine into another language, and that back. Two requests each."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.augment.rewriting import Job, Refusal, ask_all, material
from tunesmith.engines.asking import Engine

TASK = "Translate the text below from {source} into {target}."


@dataclass(frozen=True, slots=True)
class BackTranslation:
    """Through the pivot language."""

    language: str
    """What the rows are written in."""
    pivot: str
    temperature: float
    name: str = "back_translation"

    def rewrite(self, engine: Engine, jobs: Sequence[Job]) -> list[str | Refusal]:
        """One text or refusal a job, in order; what didn't get there isn't asked to come back."""
        texts: list[str | Refusal] = [job.text for job in jobs]
        for source, target in ((self.language, self.pivot), (self.pivot, self.language)):
            task = TASK.format(source=source, target=target)
            requests = [
                text if isinstance(text, Refusal) else material(task, text, temperature=self.temperature, seed=job.seed)
                for job, text in zip(jobs, texts, strict=True)
            ]
            texts = ask_all(engine, requests)
        return texts
