"""How the word lists of the rules are written: one string, for people to read."""


def words(text: str) -> list[str]:
    """Its words, as they are parted by white space."""
    return text.split()
