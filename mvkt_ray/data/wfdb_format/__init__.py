"""The WFDB format: headers, signal files and segments of one record, read without a guess.

What datasets make of records is in `sources`; a record as a whole is read by `wfdb_record` there.
"""
