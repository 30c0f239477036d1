"""Files that lie: each is damaged in seeded ways, and a command that reads it is judged."""
