"""Exports a student as an artifact of kind `model`: writes, checks, measures and publishes it.

Reads: the study, its shards, the files of the training. Writes: the artifact.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from mvkt_ray import __version__
from mvkt_ray.data.loader import EvalLoader
from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.data.views import View
from mvkt_ray.delivery.exporting.checked_graphs import (
    CheckedGraphs,
    differences,
    windows_of_10_s,
    write_checked_graphs,
)
from mvkt_ray.delivery.exporting.exported_student import (
    ExportedStudent,
    ExportRequest,
    choose_student,
    trained_network,
)
from mvkt_ray.delivery.exporting.exported_windows import in_mv
from mvkt_ray.delivery.exporting.measured_run import MeasuredRun, measure
from mvkt_ray.delivery.exporting.millivolt_network import MillivoltNetwork
from mvkt_ray.delivery.exporting.model_card import CardFacts, Performance, write_card
from mvkt_ray.delivery.exporting.operating_points import OperatingPoints
from mvkt_ray.delivery.exporting.subgroups import Subgroup, subgroups
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.predicting.model_file import (
    INT8_NAME,
    MODEL_KIND,
    MODEL_NAME,
    ONNX_NAME,
    PREDICT_NAME,
    MadeFrom,
    ModelClass,
    ModelFile,
)
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.write_report import describe
from mvkt_ray.errors import ArtifactError, DataError
from mvkt_ray.models.facts import NetworkFacts, network_facts
from mvkt_ray.models.network import Network
from mvkt_ray.plugins.packages import installed_versions, refuse_other_packages
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.study_identity import study_fingerprint
from mvkt_ray.search.stages import Prepared, prepare
from mvkt_ray.storage.artifacts import build_folder, claim_output, discard_partial, publish
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest, recipe_of
from mvkt_ray.storage.output_lock import holding
from mvkt_ray.training.predictions_file import read_predictions

WEIGHTS_NAME, CARD_NAME = "weights.safetensors", "README.md"

_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")

_SAME = 1e-5
"""Largest difference between two runs of one file: in other batches sums may round differently."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Export:
    """A student with the inputs of its export."""

    student: ExportedStudent
    material: ReportMaterial
    report: StudyReport
    prepared: Prepared
    view: View
    network: Network
    study_fingerprint: str

    @property
    def name(self) -> str:
        student = self.student
        return f"{self.material.config.name} {student.condition.name} {student.contender}"

    @property
    def facts(self) -> NetworkFacts:
        return network_facts(self.network, self.view.crop_samples, len(self.view.leads))


def export_model(
    folder: StudyFolder,
    request: ExportRequest,
    location: Location,
    say: Callable[[str], None] = lambda step: None,
) -> tuple[Manifest, bool]:
    """Export a student of a study.

    Args:
        folder: Folder of the study.
        request: Selection of the student.
        location: Location of the artifact: an object store, or a new or empty folder.
        say: Function that shows the next step.

    Returns:
        The manifest, and whether the same model existed already.

    Raises:
        ConfigError: There is no such student, or it was not examined.
        ArtifactError: The study's files are damaged, something else is at the location, or the
            graph and the student differ.
        DataError: The shards of the study are missing.
    """
    say("reading the study")
    export = _open(folder, request)
    config = {
        "study": export.material.config.name,
        "study_fingerprint": export.study_fingerprint,
        "condition": export.student.condition.name,
        "contender": export.student.contender,
        "repetition": export.student.trial.repetition,
        "finals": export.student.finals,
        "training": export.student.recipe,
        "weights_sha256": export.student.weights_sha256,
    }
    inputs = {"shards": export.prepared.shards.fingerprint}
    if export.material.teacher is not None:
        inputs["teacher"] = export.material.teacher.fingerprint
    with holding(location):
        finished = claim_output(location, recipe_of(MODEL_KIND, config, inputs), resume=True)
        if finished is not None:
            return finished, True
        # A killed export leaves partial files; making them again takes little time.
        discard_partial(location)
        with build_folder(location) as built:
            details = _write(export, built, say)
            say("publishing")
            manifest = publish(
                location,
                kind=MODEL_KIND,
                config=config,
                inputs=inputs,
                built=built,
                counts={
                    "n_parameters": export.facts.n_parameters,
                    "n_multiply_accumulates": export.facts.n_multiply_accumulates,
                },
                details=details,
            )
    return manifest, False


def _open(folder: StudyFolder, request: ExportRequest) -> _Export:
    material = gather_material(folder)
    report = describe(material)
    ranked = tuple(each.lead for each in report.leads)
    student = choose_student(material, request, ranked)
    location = material.shards_location
    if location is None or not location.exists():
        raise DataError(
            f"the shards {location or 'of the study'} are missing: before a model is published it "
            "is compared with its student on the validation recordings. Restore the shards, or "
            "ingest the recordings to that location again."
        )
    plugins = folder.read_plugins()
    refuse_other_packages(material.config.name, plugins, installed_versions(plugins))
    prepared = prepare(material.config, location)
    view = prepared.view.with_leads(student.condition.leads)
    return _Export(
        student=student,
        material=material,
        report=report,
        prepared=prepared,
        view=view,
        network=trained_network(student, len(view.leads), len(prepared.task.classes)),
        study_fingerprint=study_fingerprint(material.config),
    )


def _write(export: _Export, built: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Write every file except the manifest; return the manifest's details."""
    student, view, prepared = export.student, export.view, export.prepared
    (built / WEIGHTS_NAME).write_bytes(student.files.read_student(student.result))
    model = MillivoltNetwork(export.network, mean_mv=view.mean_mv, std_mv=view.std_mv).eval()
    say("writing the graphs, and comparing them with torch on the validation split")
    graphs = write_checked_graphs(model, prepared, view, built, seed=export.material.config.seed)
    points = (
        OperatingPoints.none(len(prepared.task.classes))
        if student.trained_on_validation
        else OperatingPoints.chosen_on(graphs.labels_NC, graphs.probabilities_NC)
    )
    described = _model_file(export, graphs, points)
    (built / MODEL_NAME).write_bytes(described.to_json())
    program = files("mvkt_ray.delivery.predicting") / "standalone.py"
    (built / PREDICT_NAME).write_bytes(program.read_bytes())
    say("running the files alone, on one thread")
    runs = _run_alone(export, built, graphs)
    say("scoring groups, and writing the card")
    stored = differences(graphs, student.validation_predictions().probabilities_NC)
    card = CardFacts(
        model=described,
        student=student,
        report=export.report,
        network=export.facts,
        graphs=graphs,
        runs=runs,
        file_bytes={each.name: each.stat().st_size for each in sorted(built.iterdir())},
        points=points,
        performances=_performances(student, graphs, points),
        groups=_groups(export),
        n_windows_of_10_s=windows_of_10_s(view, prepared.shards.sampling_rate_hz),
        since_training=stored,
        fingerprints={
            "study": export.study_fingerprint,
            "training": student.recipe,
            "weights": student.weights_sha256,
            **export.report.provenance.fingerprints,
        },
    )
    (built / CARD_NAME).write_text(write_card(card), encoding="utf-8")
    return {
        "examined": student.examined,
        "macro_auroc": graphs.macro_auroc,
        "largest_difference_to_torch": graphs.largest_difference,
        "largest_difference_to_training": stored["largest"],
        "int8_macro_auroc": graphs.int8_macro_auroc,
        "int8_left_out": graphs.int8_left_out,
        "median_ms": {name: run.median_ms for name, run in runs.items()},
        "peak_bytes": {name: run.peak_bytes for name, run in runs.items()},
        "network": asdict(export.facts),
    }


def _model_file(export: _Export, graphs: CheckedGraphs, points: OperatingPoints) -> ModelFile:
    student, view, task = export.student, export.view, export.prepared.task
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return ModelFile(
        name=export.name,
        leads=view.leads,
        sampling_rate_hz=export.prepared.shards.sampling_rate_hz,
        window_samples=view.crop_samples,
        stride_samples=view.stride_samples,
        length="dynamic" if graphs.takes_any_length else "fixed",
        mean_mv=view.mean_mv,
        std_mv=view.std_mv,
        mv_per_bit=MV_PER_BIT,
        classes=tuple(
            ModelClass(
                name=name,
                codes=tuple(c for c, names in task.class_of_code.items() if name in names),
                thresholds={key: chosen[place] for key, chosen in points.thresholds.items()},
            )
            for place, name in enumerate(task.classes)
        ),
        temperature=points.temperature,
        versions={"mvkt_ray": __version__, **versions, **export.material.folder.read_plugins()},
        made_from=MadeFrom(
            study=export.material.config.name,
            study_fingerprint=export.study_fingerprint,
            contender=student.contender,
            repetition=None if student.finals is None else student.trial.repetition,
            trial=student.trial.number,
            examined=student.examined,
        ),
    )


def _run_alone(export: _Export, built: Path, graphs: CheckedGraphs) -> dict[str, MeasuredRun]:
    """Run each graph from its file in a new process, and compare with `graphs`."""
    prepared, view = export.prepared, export.view
    n_windows = windows_of_10_s(view, prepared.shards.sampling_rate_hz)
    loader = EvalLoader(prepared.shards, prepared.splits.val, in_mv(view), batch_size=n_windows)
    batch = next(iter(loader.batches()))
    names = [name for name in (ONNX_NAME, INT8_NAME) if (built / name).exists()]
    runs = {name: measure(built / name, batch.signal_BLS.numpy()) for name in names}
    example_W = batch.example_B.numpy()
    # The maximum over windows is comparable only for recordings with all windows in this batch.
    n_of = view.n_windows(prepared.shards.n_samples()[prepared.splits.val.rows])
    for example in np.unique(example_W):
        own_W = example_W == example
        if own_W.sum() < n_of[example]:
            continue
        alone_C = runs[ONNX_NAME].probabilities_WC[own_W].max(axis=0)
        if not np.abs(alone_C - graphs.probabilities_NC[example]).max() <= _SAME:
            raise ArtifactError(
                f"{ONNX_NAME}, run from its file alone, gives other outputs than before. Nothing "
                "is published; please report this with the study file."
            )
    return runs


def _performances(
    student: ExportedStudent, graphs: CheckedGraphs, points: OperatingPoints
) -> tuple[Performance, ...]:
    test = None if student.test is None else read_predictions(student.test)
    return tuple(
        Performance(
            name=name,
            on_validation=points.performance(name, graphs.labels_NC, graphs.probabilities_NC),
            on_test=None
            if test is None
            else points.performance(name, test.labels_NC, test.probabilities_NC),
        )
        for name in points.thresholds
    )


def _groups(export: _Export) -> tuple[Subgroup, ...]:
    """Return the scores of subgroups: on test over all seeds, else on validation."""
    student, finals = export.student, export.material.finals
    shards, classes = export.prepared.shards, export.prepared.task.classes
    if student.test is None or finals is None:
        said = student.validation_predictions()
        return subgroups(
            shards,
            record_ids_N=said.record_ids_N,
            patient_ids_N=said.patient_ids_N,
            labels_NC=said.labels_NC,
            scores_RNC=said.probabilities_NC[None],
            classes=classes,
        )
    test = finals.test
    return subgroups(
        shards,
        record_ids_N=test.record_ids_N,
        patient_ids_N=test.patient_ids_N,
        labels_NC=test.labels_NC,
        scores_RNC=test.scores[student.contender, student.condition.name],
        classes=classes,
    )
