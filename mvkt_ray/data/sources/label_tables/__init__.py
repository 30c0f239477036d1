"""Tables that say something of recordings: their columns, a row's labels, age and sex.

Which files hold signals is the sources' business, one folder up.
"""
