"""What works on a study, for as long as it works: its runner, own files, logs, trackers, view.

All of it is closed, however the work ends; what is done in it is in `interface`, or in `search`.
"""
