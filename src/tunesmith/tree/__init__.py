"""The prefix tree: rows of ids become flat rows that compute every shared prefix once. Pure; for training and scoring alike."""
