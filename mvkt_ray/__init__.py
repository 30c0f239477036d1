"""Find the best single ECG lead by distributed search over distilled students."""

__version__ = "0.1.0"
