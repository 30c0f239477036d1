"""The types of a report: what a study says, part by part, and their form in `report.json`.

How the numbers are computed is not here but in `facts`, and how they are worded, drawn and shown in
`sentences`, `figures` and the page. Nothing here computes.
"""
