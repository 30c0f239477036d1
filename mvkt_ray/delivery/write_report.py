"""The answer of a study as plain values: which leads, how sure, the gain by the teacher, the cost.

Before finals everything in it is measured on the validation split; after, on the test split that
they have opened. `report_schema.json` says what is in it.

Reads: a study's folder. Writes: `report/` in it: `report.json`, tables as CSV, `index.html`.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from mvkt_ray import __version__
from mvkt_ray.delivery.facts.chosen import Selections
from mvkt_ray.delivery.facts.cost import describe_cost
from mvkt_ray.delivery.facts.data_card import describe_data
from mvkt_ray.delivery.facts.gaps.validation_gap import describe_gap
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.facts.pareto_fronts import describe_sizes
from mvkt_ray.delivery.facts.provenance import describe_provenance
from mvkt_ray.delivery.facts.ranked import describe_finals, describe_search
from mvkt_ray.delivery.facts.study_summary import describe_race, describe_study
from mvkt_ray.delivery.page import write_page
from mvkt_ray.delivery.sentences.answer import sentences_after_finals, sentences_before_finals
from mvkt_ray.delivery.sentences.limits import describe_limits
from mvkt_ray.delivery.tables import write_tables
from mvkt_ray.search.ledger.study_folder import StudyFolder

SCHEMA_VERSION = 4
METRIC = "macro_auroc"


def write_report(folder: StudyFolder) -> dict[str, Any]:
    """Make the report of a study, write all its files into the study's folder, and return it.

    Raises:
        ArtifactError: There is no study, it has not come to its first trial, or a file is damaged.
        DataError: Files do not fit together.
    """
    material = gather_material(folder)
    report = describe(material)
    write_files(report, material, folder)
    return report


def write_files(report: dict[str, Any], material: ReportMaterial, folder: StudyFolder) -> None:
    """Write what `describe` made of the material into the study's folder."""
    write_tables(report, material, folder.report_folder)
    write_page(report, material, folder.report_page)
    # Last: who waits for it finds the rest.
    folder.report.write_bytes((json.dumps(report, indent=2, allow_nan=False) + "\n").encode())


def build_report(folder: StudyFolder) -> dict[str, Any]:
    """Return the report without writing anything; numbers that are not defined are None."""
    return describe(gather_material(folder))


def describe(material: ReportMaterial) -> dict[str, Any]:
    """Return the report of a study that was read; the same but for `made_at` every time."""
    selections = Selections(material)
    data, data_reason = describe_data(material)
    ranked = (
        describe_search(material, selections)
        if material.finals is None
        else describe_finals(material, material.finals, selections)
    )
    facts = {
        "schema_version": SCHEMA_VERSION,
        "study": material.config.name,
        "task": material.task,
        "metric": METRIC,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "mvkt_ray_version": __version__,
        "classes": list(material.classes),
        **ranked,
        "finals_begun": None if material.begun is None else asdict(material.begun),
        "validation_gap": None if material.finals is None else describe_gap(ranked),
        "selection": selections.describe_study(material),
        "sizes": describe_sizes(material, ranked["leads"]),
        "racing": describe_race(material),
        "study_summary": describe_study(material),
        "cost": describe_cost(material),
        "data": data,
        "data_reason": data_reason,
        "provenance": describe_provenance(material),
    }
    facts["test_split"] = _test_split(material, data)
    source = material.config.data.source if data is None else data["source"]
    facts["answer"] |= {"is_synthetic": source == "synthetic"}
    is_final = material.finals is not None
    sentences = (sentences_after_finals if is_final else sentences_before_finals)(facts)
    facts["answer"] |= {"sentence": " ".join(sentences), "sentences": sentences}
    return facts | {"limits": describe_limits(facts)}


def report_schema() -> dict[str, Any]:
    """Return the JSON schema of `report.json`."""
    return json.loads((files("mvkt_ray.delivery") / "report_schema.json").read_text("utf-8"))


def _test_split(material: ReportMaterial, data: dict[str, Any] | None) -> dict[str, Any]:
    finals = material.finals
    n_recordings = None if data is None else data["splits"]["test"]["n_recordings"]
    n_patients = None if data is None else data["splits"]["test"]["n_patients"]
    if finals is not None:
        n_recordings = len(finals.test.record_ids_N)
        n_patients = len(set(finals.test.patient_ids_N))
    hidden = ("shards", "split")
    openings = [
        {name: value for name, value in opening.to_json().items() if name not in hidden}
        for opening in material.openings
    ]
    return {
        "opened": len(openings),
        "openings": openings,
        "n_recordings": n_recordings,
        "n_patients": n_patients,
    }
