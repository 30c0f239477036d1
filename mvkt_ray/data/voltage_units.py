"""Which texts are units of voltage, and how many millivolts each of them is."""

_MV_PER_UNIT = {"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3} | {
    f"{prefix}{volts}": mv
    for prefix, mv in {"nano": 1e-6, "micro": 1e-3, "milli": 1.0, "": 1e3}.items()
    for volts in ("volt", "volts")
}
_MICRO_SIGNS = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


def mv_per_unit(unit: str) -> float | None:
    """Return how many mV a unit is: of `uV`, `microvolts` and the like; None for another one.

    Nobody writes an ECG in megavolts, so neither case decides: `MV` is a millivolt.
    """
    return _MV_PER_UNIT.get(unit.strip().translate(_MICRO_SIGNS).lower())
