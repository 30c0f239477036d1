"""Training: metrics, the epoch loop, the teacher and the students; pure torch, one rank or many."""
