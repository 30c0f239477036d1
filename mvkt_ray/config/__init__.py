"""Study files: frozen dataclasses that describe a study, and how YAML becomes them.

Facts of trials that ran are in `records`; what follows from a study and its data is in `search`.
"""
