"""Rows, outcomes, errors, hashes, whole files, seeds. Standard library only; every floor may use it."""
