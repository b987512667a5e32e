"""Models: load, adapt, run over a tree, give a head, merge, save."""
