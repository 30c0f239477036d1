"""What the PhysioNet Challenges 2020 and 2021 share: listing, header comments, codes, tasks.

Perez Alday et al., Physiological Measurement 41(12), 124003 (2020); Reyna et al., "Will Two Do?",
Computing in Cardiology 48 (2021). Codes are SNOMED CT.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.source import age_of, each_once, sex_of
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.tasks import Task

CPSC_CLASSES: dict[str, str] = {
    "Normal": "426783006",
    "AF": "164889003",
    "I-AVB": "270492004",
    "LBBB": "164909002",
    "RBBB": "59118001",
    "PAC": "284470004",
    "PVC": "164884008",
    "STD": "429622005",
    "STE": "164931005",
}
"""The nine classes of CPSC 2018, in the order of its numbers 1 to 9, and their SNOMED CT codes."""

SUFFIXES = (".hea", ".mat")
"""Of a record; a signal without a header is listed too, and reading it tells what is missing."""

_CODE_OF_TEXT = {text.lower(): code for text, code in CPSC_CLASSES.items()}

ICBEB9 = Task.of_classes(
    "icbeb9",
    {
        **{name: [code] for name, code in CPSC_CLASSES.items()},
        # Other sources of the Challenge write these for the same.
        "RBBB": [CPSC_CLASSES["RBBB"], "713427006"],
        "PAC": [CPSC_CLASSES["PAC"], "63593006"],
    },
    sort=False,
)
"""CPSC 2018 = ICBEB 2018. PVC, STD and STE are codes that the Challenge does not score."""

CINC26 = Task.of_classes(
    "cinc26",
    {
        "AF": ["164889003"],
        "AFL": ["164890007"],
        "BBB": ["6374002"],
        "Brady": ["426627000"],
        "CLBBB": ["733534002", "164909002"],
        "CRBBB": ["713427006", "59118001"],
        "IAVB": ["270492004"],
        "IRBBB": ["713426002"],
        "LAD": ["39732003"],
        "LAnFB": ["445118002"],
        "LPR": ["164947007"],
        "LQRSV": ["251146004"],
        "LQT": ["111975006"],
        "NSIVCB": ["698252002"],
        "NSR": ["426783006"],
        "PAC": ["284470004", "63593006"],
        "PR": ["10370003"],
        "PRWP": ["365413008"],
        "PVC": ["427172004", "17338001"],
        "QAb": ["164917005"],
        "RAD": ["47665007"],
        "SA": ["427393009"],
        "SB": ["426177001"],
        "STach": ["427084000"],
        "TAb": ["164934002"],
        "TInv": ["59931005"],
    },
)
"""The 30 scored classes of 2021 after the Challenge's four merges (dx_mapping_scored.csv)."""

SNOMED_TASKS = {task.name: task for task in (ICBEB9, CINC26)}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChallengeFacts:
    """Facts of the patient in the comments of a Challenge header."""

    age: float | None
    sex: Literal["female", "male"] | None
    codes: tuple[str, ...]


def challenge_facts(comments: Sequence[str]) -> ChallengeFacts:
    """Read `Age: 74`, `Sex: Male` and `Dx: 59118001,284470004` from comments without their `#`.

    Seen in real headers, and read: `# Dx:` with a space, text labels of CPSC 2018 (`RBBB`), codes
    that are given twice, several lines of them, commas too many, and an age of `NaN`.
    """
    facts: dict[str, str] = {}
    for comment in comments:
        key, colon, value = comment.partition(":")
        word = key.strip().lower()
        if word == "dx" and word in facts:
            facts[word] += f",{value}"
        elif colon:
            facts.setdefault(word, value.strip())
    codes = [snomed_code(text) for text in facts.get("dx", "").split(",")]
    return ChallengeFacts(
        age=age_of(facts.get("age")), sex=sex_of(facts.get("sex")), codes=each_once(codes)
    )


def snomed_code(label: str) -> str:
    """Return the SNOMED CT code of a text label of CPSC 2018; anything else as it is.

    Numbers that a spreadsheet wrote as `426783006.0` lose their `.0`.
    """
    word = label.strip()
    whole = word.removesuffix(".0")
    return _CODE_OF_TEXT.get(word.lower(), whole if whole.isdigit() else word)


def read_challenge_record(ref: RecordingRef) -> Recording:
    """Read a record of the Challenge; every record is its own patient, for it names none."""
    signal = read_wfdb(ref.path)
    facts = challenge_facts(signal.comments)
    return signal.as_recording(ref, ref.record_id, age=facts.age, sex=facts.sex, codes=facts.codes)
