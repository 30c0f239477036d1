"""The types of a report, section by section, and their form in `report.json`.

`facts` computes the numbers; `sentences`, `figures` and the page word, draw and show them. Nothing
here computes.
"""
