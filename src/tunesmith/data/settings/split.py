"""The `data.split` section: how rows are divided into sides."""

from pydantic import Field, model_validator

from tunesmith.section import Section


class SplitConfig(Section):
    """How rows are divided. Rows with the same text, near-duplicates, and rows of one group never land on two sides."""

    validation: float = Field(default=0.15, gt=0, lt=1)
    """Share for validation, divided by group into `select` (early stopping, k) and `calibrate`. Unused with `validation_path`."""
    test: float = Field(default=0.15, gt=0, lt=1)
    """Share for test. Unused with `test_path`."""
    by: str | None = None
    """A column whose values must not be divided between sides: a customer, a document, a conversation, a template."""
    time: str | None = None
    """A column that tells when a row is from (ISO 8601 or a number): the oldest rows train, the newest test."""
    gain: float | None = Field(default=None, gt=0.001, le=0.2)
    """Make test large enough to show a gain of so many right answers in one (0.02: two in a hundred), up to two fifths of the rows; instead of `test`."""

    @model_validator(mode="after")
    def _leaves_some_to_train(self) -> "SplitConfig":
        if self.validation + self.test >= 0.9:
            raise ValueError(f"validation {self.validation} + test {self.test} leave under a tenth to train on: lower one of them")
        return self

    @model_validator(mode="after")
    def _one_size_of_test(self) -> "SplitConfig":
        if self.gain is not None and self.test != type(self).model_fields["test"].default:  # a recipe written out names the default too
            raise ValueError(f"gain {self.gain} chooses the size of test, and test {self.test} names one: leave one of them out")
        return self
