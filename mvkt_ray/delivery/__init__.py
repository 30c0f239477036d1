"""What a study is worth to its users: the report."""
