"""Stages in order, caching, resuming, gates: the only orchestrator."""
