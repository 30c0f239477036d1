"""Assistants: models between the teacher and a condition's students, trained before its trials.

The plan of their trainings is in `choosing/assistant_trials`, a finished assistant in
`training/teaching/assistant`, the order of a search's stages in `pipeline`.
"""
