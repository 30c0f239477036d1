"""Assistants: models between the teacher and a condition's students, trained before its trials.

Which trainings they are is in `assistant_trials`, what a finished one is in `assistant`; the order
of a search's stages is in `pipeline`.
"""
