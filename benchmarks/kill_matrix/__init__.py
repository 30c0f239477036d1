"""Every process of a study, killed at every write: does it end as if nothing had happened?

`python -m benchmarks.kill_matrix` fills the table cell by cell and may be stopped at any time;
`shim/` is put in front of the path of the processes that are killed.
"""
