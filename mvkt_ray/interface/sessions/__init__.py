"""Sessions: the resources of a driver: runner, own files, logs, trackers and view.

A session closes all of them, also on errors. The work within a session is in `interface` and
`search`.
"""
