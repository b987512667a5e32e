"""The database: datasets, rounds, stages, artefacts, lineage, metrics, openings of test sets.

`records` holds what goes in and comes out and needs the standard library alone; `ledger.Ledger` is the one way in and
loads SQLAlchemy, which is why it is not imported here.
"""
