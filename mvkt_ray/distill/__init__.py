"""From teacher to student: losses, the objective that sums them, and the teacher's knowledge."""
