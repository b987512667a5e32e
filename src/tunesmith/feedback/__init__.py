"""Opinions of answers in, reviewed rows out: what looks wrong is set aside, what matters most is reviewed first."""
