"""What grows with the size of a study or of a dataset, and how: see `__main__`."""
