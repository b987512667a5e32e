"""More training rows out of those there are: one file a way, `augment` drives them, `drift` refuses what went too far."""
