"""What a study takes of a disk: predicted before it starts, let go of when a trial ends.

What is found and removed afterwards is `leftovers`; what is in a trial's folder is `trial_files`.
"""
