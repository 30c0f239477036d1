"""What becomes of a study whose trials fail: who is to blame, and when it stops.

How one trial failed is told by `machine_faults` and by the runners, not here.
"""
