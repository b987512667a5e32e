"""The training loop, its state, its objectives. Knows no disk layout and no web."""
