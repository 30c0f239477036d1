"""What a person sees in a terminal: answers, tables, progress, a study at one moment.

Nothing here decides or writes; the report's page is made in `delivery`.
"""
