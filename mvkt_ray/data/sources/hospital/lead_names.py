"""Which of the twelve leads a hospital's file means: by its text, or by a code of a standard.

A name is understood whole or not at all: `Lead II`, `EKG-II` and `MDC_ECG_LEAD_II` are II, while
`-aVR`, `II filtered` and `MLII` are other signals.
"""

import re
import unicodedata

from mvkt_ray.data.recording import canonical_lead

_PREFIXES = re.compile(r"(?:(?:mdc_ecg_lead|lead|ecg|ekg)[ _:.]*)*", re.IGNORECASE)
_EKG_DASH = re.compile(r"(?:ecg|ekg)-", re.IGNORECASE)
"""As some recorders write it; elsewhere a dash in front turns a lead over."""

_MDC_NUMBERS = {
    1: "I",
    2: "II",
    61: "III",
    62: "aVR",
    63: "aVL",
    64: "aVF",
    **{number + 2: f"V{number}" for number in range(1, 7)},
}
"""ISO/IEEE 11073-10102, in its partition 2; SCP-ECG (EN 1064) has the same numbers."""

_LEAD_OF_CODE = {
    **{("MDC", f"2:{number}"): lead for number, lead in _MDC_NUMBERS.items()},
    **{("SCPECG", f"5.6.3-9-{number}"): lead for number, lead in _MDC_NUMBERS.items()},
}


def lead_named(text: str) -> str | None:
    """Return the lead that a text names, or None for another signal."""
    name = unicodedata.normalize("NFKC", text).strip()
    return canonical_lead(_PREFIXES.sub("", _EKG_DASH.sub("", name, count=1), count=1))


def lead_of_code(scheme: str, code: str) -> str | None:
    """Return the lead of a code of DICOM's channel sources, or None where it is none of twelve.

    Args:
        scheme: Who made the code: `MDC`, with numbers or names as codes, or `SCPECG`.
        code: As `2:1`, `MDC_ECG_LEAD_I` or `5.6.3-9-1`.
    """
    word = code.strip()
    return _LEAD_OF_CODE.get((scheme.strip().upper(), word)) or lead_named(word)
