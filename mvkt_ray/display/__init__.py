"""What a person sees in a terminal or a notebook: answers, tables, progress, a study's state.

Nothing here decides or writes; the report's page is made in `delivery`.
"""
