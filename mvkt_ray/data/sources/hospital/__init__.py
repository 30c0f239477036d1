"""Sources that read what hospitals export: a folder of files, one recording or more in each.

Every format has a file that decodes it and nothing else; what they share lies beside them. WFDB
records are read in `wfdb_format`, tables of labels in `label_tables`, one folder up.
"""
