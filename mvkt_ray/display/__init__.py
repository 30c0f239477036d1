"""Output for terminals and notebooks: answers, tables, progress, the state of a study.

Nothing here decides, or writes files; `delivery` makes the report's page.
"""
