"""The model card: names from data are text in it, and nothing is said that is not known."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from typed_reports import typed

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.delivery.exporting.checked_graphs import CheckedGraphs
from mvkt_ray.delivery.exporting.exported_student import ExportedStudent
from mvkt_ray.delivery.exporting.measured_run import MeasuredRun
from mvkt_ray.delivery.exporting.model_card import CardFacts, Performance, write_card
from mvkt_ray.delivery.exporting.operating_points import OperatingPoints
from mvkt_ray.delivery.exporting.subgroups import Subgroup
from mvkt_ray.delivery.predicting.model_file import MadeFrom, ModelClass, ModelFile
from mvkt_ray.models.facts import NetworkFacts
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.storage.location import Location
from mvkt_ray.training.trial_files import TrialFolder

CLASSES = ("CD", "HYP", "MI")
NAMES = ("f1", "sensitivity_0.90", "specificity_0.90")


@pytest.fixture
def facts(final_report: dict[str, Any]) -> CardFacts:
    """Of the student of V5 of the made-up study."""
    classes = tuple(final_report["classes"])
    points = OperatingPoints(
        thresholds={name: (0.25, *(None for _ in classes[1:])) for name in NAMES}, temperature=1.5
    )
    shares = tuple((0.5, 0.75) if place == 0 else (None, None) for place in range(len(classes)))
    trial = Trial(
        number=3,
        condition=Condition.from_name("V5"),
        arm=Arm.FINAL,
        hyperparameters={
            name: getattr(Hyperparameters(), name) for name in Hyperparameters.names()
        },
        contender="chosen",
    )
    labels = np.zeros((2, len(classes)), dtype=np.float32)
    return CardFacts(
        model=ModelFile(
            name="made-up V5 chosen",
            leads=("V5",),
            sampling_rate_hz=100,
            window_samples=250,
            stride_samples=125,
            length="dynamic",
            mean_mv=0.0,
            std_mv=0.2,
            mv_per_bit=0.001,
            classes=tuple(
                ModelClass(
                    name=name,
                    codes=(name,),
                    thresholds={key: chosen[place] for key, chosen in points.thresholds.items()},
                )
                for place, name in enumerate(classes)
            ),
            temperature=1.5,
            versions={"mvkt_ray": "0", "onnxruntime": "1"},
            made_from=MadeFrom(
                study="made-up",
                study_fingerprint="f",
                contender="chosen",
                repetition=0,
                trial=3,
                examined=True,
            ),
        ),
        student=ExportedStudent(
            trial=trial,
            contender="chosen",
            files=TrialFolder.of("trials", 3),
            finals=1,
            test=Location.parse("test.arrow"),
            trained_on_validation=False,
            recipe="recipe",
            weights_sha256="weights",
            result=TrialResult(number=3, state=TrialState.COMPLETE),
        ),
        report=typed(final_report),
        network=NetworkFacts(
            n_parameters=12345, n_multiply_accumulates=678900, receptive_field_samples=100
        ),
        graphs=CheckedGraphs(
            takes_any_length=True,
            labels_NC=labels,
            probabilities_NC=labels,
            largest_difference=3e-7,
            macro_auroc=0.8,
            int8_macro_auroc=0.797,
            int8_left_out=None,
        ),
        runs={
            "model.onnx": MeasuredRun(
                median_ms=1.25,
                n_runs=50,
                peak_bytes=60_000_000,
                own_bytes=9_000_000,
                probabilities_WC=labels,
            )
        },
        file_bytes={"model.onnx": 1000},
        points=points,
        performances=[
            Performance(name=name, on_validation=shares, on_test=shares) for name in NAMES
        ],
        groups=[
            Subgroup(
                name="female",
                n_recordings=9,
                n_patients=8,
                classes=(),
                macro_auroc=None,
                interval=None,
            )
        ],
        n_windows_of_10_s=7,
        since_training={"largest": 1e-6, "macro_auroc_then": 0.8},
        fingerprints={"study": "f"},
    )


def tables(card: str) -> list[list[str]]:
    """The tables of a card, each as its lines."""
    blocks = re.split(r"\n(?!\|)", card)
    found = [[line for line in block.splitlines() if line.startswith("|")] for block in blocks]
    return [lines for lines in found if lines]


def test_every_table_is_one(facts: CardFacts) -> None:
    found = tables(write_card(facts))
    assert len(found) >= 8
    for lines in found:
        assert re.fullmatch(r"\|(-+\|)+", lines[1]), lines[:2]
        assert {re.sub(r"\\\|", "", line).count("|") for line in lines} == {lines[1].count("|")}


def test_the_score_of_the_report_is_in_the_card(facts: CardFacts) -> None:
    card = write_card(facts)
    (lead,) = [each for each in facts.report.leads if each.lead == "V5"]
    test = lead.contenders["chosen"].test
    assert test is not None
    assert f"macro AUROC **{test.macro_auroc:.3f}**" in card
    assert f"the training in this folder: {test.per_seed[0]:.3f}" in card
    assert "12,345 parameters" in card
    assert "1.25 ms per 10 s recording (7 windows)" in card
    assert "| female | 9 | 8 | too few | - | - |" in card


def test_a_student_that_was_not_examined_is_not_praised(facts: CardFacts) -> None:
    student = replace(facts.student, test=None, finals=None)
    card = write_card(replace(facts, student=student))
    assert "**Not examined.**" in card
    assert "trial 3 of the search" in card
    assert "optimistic" in card


def test_a_class_without_a_threshold_never_fires(facts: CardFacts) -> None:
    rows = [line for line in write_card(facts).splitlines() if "| f1 |" in line]
    assert "| 0.250 | 0.50, 0.75 | 0.50, 0.75 |" in rows[0]
    assert all("| never | -, - | -, - |" in row for row in rows[1:])


def test_a_missing_int8_graph_is_said_with_its_reason(facts: CardFacts) -> None:
    graphs = replace(facts.graphs, int8_left_out="it loses 0.0300 macro AUROC on validation")
    card = write_card(replace(facts, graphs=graphs))
    assert "There is no `model.int8.onnx`: it loses 0.0300 macro AUROC" in card


def test_a_name_from_data_is_no_markup(facts: CardFacts) -> None:
    first, *others = facts.model.classes
    named = replace(first, name="a|b <script>*x*", codes=("c|d",))
    report = replace(facts.report, data=None, data_reason="gone")
    card = write_card(
        replace(facts, model=replace(facts.model, classes=(named, *others)), report=report)
    )
    assert "<script>" not in card.replace("\\<script\\>", "")
    assert r"a\|b \<script\>\*x\*" in card
    for lines in tables(card):
        assert {re.sub(r"\\\|", "", line).count("|") for line in lines} == {lines[1].count("|")}


def test_one_trained_on_validation_has_no_thresholds(facts: CardFacts) -> None:
    student = replace(facts.student, trained_on_validation=True)
    card = write_card(replace(facts, student=student))
    assert "choose them on recordings of your own" in card
    assert "Calibrated probability" not in card
