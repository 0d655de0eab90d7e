"""Regular expressions of RE2: whether a text is one, and how large it becomes."""
