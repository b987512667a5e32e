"""Items as training rows, Anki notes, a table, and a quiz page; one file each."""
