"""The sections of the recipe's `data`: one file a stage, light to import."""
