"""The training of a teacher: its inputs, and the training of each of its networks.

How a finished teacher is published and opened is in `teacher`, what is common to all trainings in
`fit`.
"""
