"""The text said otherwise by an engine. One request each."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data.augment.rewriting import Job, Refusal, ask_all, material
from tunesmith.engines.asking import Engine

TASK = "Say the text below in other words, in its own language and tone, at about its length, without adding or leaving out anything."


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """As freely as the temperature."""

    temperature: float
    name: str = "paraphrase"

    def rewrite(self, engine: Engine, jobs: Sequence[Job]) -> list[str | Refusal]:
        """One text or refusal a job, in order."""
        return ask_all(engine, [material(TASK, job.text, temperature=self.temperature, seed=job.seed) for job in jobs])
