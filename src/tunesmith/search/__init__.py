"""Many trainings to choose one: the search over settings, and the adviser over bases and methods."""
