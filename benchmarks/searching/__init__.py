"""What the benchmark of the search measures and replays: rows, spaces, one training, whole grids, tables of them."""
