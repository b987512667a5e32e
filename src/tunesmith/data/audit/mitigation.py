"""What can be done about bias, as it is written in a recipe."""

MITIGATIONS = {
    "balance.reweigh": {
        "recipe": "data: {balance: {method: reweigh, group: COLUMN}}",
        "sentence": "Weigh train rows so that every label is equally frequent in every group (Kamiran and Calders, 2012); no row is dropped.",
    },
    "balance.downsample": {
        "recipe": "data: {balance: {method: downsample, ratio: 2}}",
        "sentence": "Drop train rows of common labels, a seeded sample, until none has more than so many times the rows of the rarest.",
    },
    "balance.upsample": {
        "recipe": "data: {balance: {method: upsample, ratio: 2}}",
        "sentence": "Repeat train rows of rare labels, as marked copies, until the commonest has at most so many times their rows.",
    },
    "augment.counterfactual": {
        "recipe": "data: {augment: {ways: {counterfactual: {groups: [gender, religion]}}}}",
        "sentence": "Add train rows with the terms of one group written as those of another, under the same label.",
    },
    "augment.per_class": {
        "recipe": "data: {augment: {per_class: 100, ways: {typos: {}}}}",
        "sentence": "Make more train rows of rare labels out of those there are.",
    },
    "collect": {"recipe": None, "sentence": "Collect more rows of the kind that is missing: nothing made from the others says what they would."},
    "review": {"recipe": "data: {relabel: {action: report}}", "sentence": "Look at the rows: labels and answers of both kinds, side by side."},
    "split": {"recipe": "data: {split: {by: COLUMN}}", "sentence": "Keep each source on one side, so that the test tells what it costs to meet a new one."},
    "split.time": {"recipe": "data: {split: {time: COLUMN}}", "sentence": "Train on the oldest rows and test on the newest, so that the test tells what drift costs."},
    "cleaning": {"recipe": "data: {filter: {RULE: {action: count}}}", "sentence": "Let the rule that drops them count instead, and look at what it finds."},
}  # fmt: skip
"""Name -> how it is asked for (COLUMN, RULE: yours), and what it does."""
