"""Which opinions are about the models of a line of service: those about the line by its name, and about every model of its steps.

An opinion that names no model is a line's where the workspace has no other; with several, nobody knows whose it is, and it is no line's.
Tenants are not told apart: whoever's opinions they are, they are about the same model.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.ledger.feedback import FeedbackRecord
from tunesmith.pipeline.naming import folder_name

if TYPE_CHECKING:
    from tunesmith.ledger.ledger import Ledger


def about(line: str, records: Sequence[FeedbackRecord], ledger: "Ledger") -> list[FeedbackRecord]:
    """The opinions among `records` that are about a line's models, in their order."""
    models = {step.model for step in ledger.steps.history(line) if step.model}
    names: set[str | None] = {line, *models, *(folder_name(Path(model)) for model in models)}
    if set(ledger.steps.lines()) <= {line}:
        names.add(None)
    return [record for record in records if record.model in names]
