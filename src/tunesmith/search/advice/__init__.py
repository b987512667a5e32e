"""What an advice is made of: wishes, bases and how they read the rows, ways to tune them, the order of all these, and what is said."""
