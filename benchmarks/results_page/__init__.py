"""What `benchmarks/results.py` computes and writes; see there."""
