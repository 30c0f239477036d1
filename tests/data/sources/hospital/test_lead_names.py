import pytest

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources.hospital.lead_names import lead_named, lead_of_code


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize(
    "spelled", ["{}", "Lead {}", "LEAD_{}", "ECG {}", "EKG {}", "EKG-{}", "ECG Lead {}", " {} "]
)
def test_leads_are_known_however_they_are_spelled(lead: str, spelled: str) -> None:
    for name in (lead, lead.upper(), lead.lower()):
        assert lead_named(spelled.format(name)) == lead
    assert lead_named(f"MDC_ECG_LEAD_{lead.upper()}") == lead


@pytest.mark.parametrize(
    "name",
    ["", "-aVR", "aVR-", "Lead -aVR", "MDC_ECG_LEAD_AVRneg", "MLII", "II filtered", "V7", "V3R",
     "Lead", "ECG", "1", "IV", "I-II", "X", "Resp", "V1 V2"],
)  # fmt: skip
def test_other_signals_are_no_leads(name: str) -> None:
    assert lead_named(name) is None


@pytest.mark.parametrize(
    ("scheme", "code", "lead"),
    [
        ("MDC", "2:1", "I"), ("MDC", "2:61", "III"), ("MDC", "2:3", "V1"), ("mdc", "2:8", "V6"),
        ("MDC", "MDC_ECG_LEAD_AVL", "aVL"), ("SCPECG", "5.6.3-9-2", "II"),
        ("SCPECG", "5.6.3-9-64", "aVF"), ("MDC", "2:9", None), ("99LOCAL", "2:1", None),
        ("", "", None),
    ],
)  # fmt: skip
def test_codes_of_standards(scheme: str, code: str, lead: str | None) -> None:
    assert lead_of_code(scheme, code) == lead
