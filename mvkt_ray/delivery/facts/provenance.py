"""The provenance of a report: fingerprints, seeds, versions, commands."""

import platform
from importlib import metadata

from mvkt_ray import __version__
from mvkt_ray.delivery.facts.evidence import SEED
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.report.reported_data import Provenance, SeedsUsed
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.manifest import Manifest

PACKAGES = ("torch", "ray", "optuna", "numpy", "scipy", "pyarrow", "scikit-learn")
"""Packages whose versions may change a report's numbers."""


def describe_provenance(material: ReportMaterial) -> Provenance:
    """Return the report's `provenance`."""
    manifests = _manifests(material)
    repetitions = {r.trial.repetition for r in material.finals.records} if material.finals else ()
    return Provenance(
        fingerprints={kind: manifest.fingerprint for kind, manifest in manifests.items()},
        seeds=SeedsUsed(
            study=material.config.seed,
            teacher=_teacher_seed(material),
            finals=tuple(sorted(repetitions)),
            statistics=SEED,
        ),
        versions={
            "python": platform.python_version(),
            "mvkt-ray": __version__,
            **{name: _version(name) for name in PACKAGES},
        },
        artifact_versions={
            **{kind: manifest.package_version for kind, manifest in manifests.items()},
            **{f"opening {each.number}": each.mvkt_ray_version for each in material.openings},
        },
        commands={
            **{kind: each.command for kind, each in manifests.items() if each.command},
            **{f"opening {each.number}": each.command for each in material.openings},
        },
    )


def _teacher_seed(material: ReportMaterial) -> int:
    """Return the seed of the teacher's training, which for a given teacher is not the study's."""
    if material.teacher is None:
        return material.config.teacher.seed
    return int(material.teacher.config["teacher"]["seed"])


def _manifests(material: ReportMaterial) -> dict[str, Manifest]:
    found = {
        "shards": _shards_manifest(material),
        "teacher": material.teacher,
        "knowledge": material.knowledge,
    }
    return {kind: manifest for kind, manifest in found.items() if manifest is not None}


def _shards_manifest(material: ReportMaterial) -> Manifest | None:
    location = material.shards_location
    return read_manifest(location) if location is not None and location.exists() else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
