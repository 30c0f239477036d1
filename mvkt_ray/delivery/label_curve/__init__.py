"""The curves of a label budget: score against labelled recordings, alone and distilled, per lead.

`write_curve` makes the report; the other modules each do one step. The report of one study is in
`write_report`, not here.
"""
