"""The only place that runs a model for an answer: score choices, measure likelihood, generate, classify by head."""
