"""The `evaluate.explain` section of a recipe: why the tuned model answered so, word by word and by the rows that taught it."""

from pydantic import Field

from tunesmith.section import Section


class ExplainConfig(Section):
    """Which answers are explained, and how closely. Costs a backward pass for each step and row, and a forward pass over the training rows for each snapshot."""

    enabled: bool = False
    """true explains some answers on test in the report card; words need `pip install 'tunesmith[explain]'`."""
    rows: int = Field(default=8, ge=1, le=200)
    """Wrong answers that are explained, the most confident first, and as many right ones drawn by the recipe's seed."""
    steps: int = Field(default=32, ge=2, le=512)
    """Points of the path from the blanked text to the text at which gradients are taken; doubled, up to three times, where the words don't add up."""
    tolerance: float = Field(default=0.05, gt=0, le=0.5)
    """Words may miss what the text changed by this share of it; beyond, the row is told to be not attributable instead of coloured."""
    answer_tokens: int = Field(default=32, ge=1, le=1000)
    """So many tokens of a generated answer are explained."""
    nearest: int = Field(default=3, ge=0, le=20)
    """Training rows shown that the tuned model's own states say are most alike; 0 looks for none."""
    influence: bool = True
    """Tell which training rows pushed the model toward its answer and which against (TracIn, last layer). Training then keeps snapshots of what learns."""
    pushed: int = Field(default=3, ge=1, le=20)
    """So many rows are shown to each side."""
    snapshots: int = Field(default=4, ge=1, le=50)
    """At most so many snapshots are kept, each as large as what learns, spread over the evaluations."""
    train_rows: int = Field(default=5000, ge=1, le=10**6)
    """At most this many training rows are looked through, drawn by the recipe's seed; the share is told."""
