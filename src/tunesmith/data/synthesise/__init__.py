"""Questions out of documents: one file a kind, `checks` refuses what doesn't hold, `exports` writes rows, cards, tables and a quiz page."""
