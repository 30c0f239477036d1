"""Figures: what they compute, and that they need nothing outside and come out the same again."""

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score, roc_curve
from typed_reports import typed

from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.figures.compared import Comparison, Model
from mvkt_ray.delivery.figures.drawing import ALONE_STYLE, CHOSEN_STYLE, STEPS, Colour, label, thin
from mvkt_ray.delivery.figures.ecg_strips import draw_context, draw_strip
from mvkt_ray.delivery.figures.example_recordings import N_MOST, find_examples
from mvkt_ray.delivery.figures.gain_intervals import draw_gains
from mvkt_ray.delivery.figures.gallery import Gallery, make_gallery
from mvkt_ray.delivery.figures.gap_steps import DRAWN_LEADS, draw_gap_steps
from mvkt_ray.delivery.figures.of_search.centred import (
    N_DRAWN,
    CentredTrial,
    centred_trials,
    drawn_trials,
    step_of,
)
from mvkt_ray.delivery.figures.of_search.learning_curves import draw_learning_curves
from mvkt_ray.delivery.figures.of_search.slices import draw_slices
from mvkt_ray.delivery.figures.ranked_leads import draw_ranked_leads
from mvkt_ray.delivery.figures.reliability import calibration_scores, equal_bins
from mvkt_ray.delivery.figures.roc import draw_roc, roc_on_grid
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord

GRID = np.linspace(0.0, 1.0, 101) ** 1.5


@pytest.fixture(scope="module")
def material(final_study: StudyFolder) -> ReportMaterial:
    return gather_material(final_study)


@pytest.fixture(scope="module")
def gallery(final_report: dict[str, Any], material: ReportMaterial) -> Gallery:
    return make_gallery(typed(final_report), material)


def images_of(gallery: Gallery) -> list[str]:
    curves = [svg for each in gallery.curves for svg in (each.roc, each.reliability)]
    strips = [svg for each in gallery.drawn_examples for svg in (each.strip, each.context)]
    return [svg for svg in [*gallery.figures.values(), *curves, *strips] if svg]


def test_the_same_study_gives_the_same_images(
    gallery: Gallery, final_report: dict[str, Any], material: ReportMaterial
) -> None:
    assert images_of(make_gallery(typed(final_report), material)) == images_of(gallery)


def test_images_refer_to_nothing_outside_and_share_no_id(gallery: Gallery) -> None:
    images = images_of(gallery)
    assert len(images) >= 12
    together = "".join(images)
    assert set(re.findall(r'"(https?:[^"]*)"', together)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    ids = re.findall(r'\bid="([^"]+)"', together)
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="|url\()#([^")]+)', together)
    assert used
    assert set(used) <= set(ids)
    assert "<style" not in together
    assert "<metadata" not in together
    assert "<image" not in together


def test_colours_come_from_the_style_sheet_and_text_stays_text(gallery: Gallery) -> None:
    for svg in images_of(gallery):
        assert not re.search(r"#[0-9a-f]{6}\b", svg)
        assert "<text" in svg
        assert "font-family" not in svg
    used = set(re.findall(r"var\((--fig-[a-z0-9-]+)\)", "".join(images_of(gallery))))
    assert used <= {colour.css[4:-1] for colour in Colour}


def test_every_image_says_what_it_shows(gallery: Gallery) -> None:
    for svg in images_of(gallery):
        title = re.search(r"<title[^>]*>([^<]+)</title>", svg)
        description = re.search(r"<desc[^>]*>([^<]+)</desc>", svg)
        assert title is not None
        assert description is not None
        assert len(description[1]) > 20


def test_the_gap_has_a_panel_per_lead_and_a_row_per_class_that_can_be_judged(
    final_report: dict[str, Any], searched_report: dict[str, Any]
) -> None:
    svg = draw_gap_steps(typed(final_report))
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    leads = final_report["teacher_gap"]["leads"]
    assert [text for text in texts if text in LEADS] == [lead["lead"] for lead in leads]
    judged = [row["class"] for row in leads[0]["rows"][1:] if not row["too_few"]]
    assert 0 < len(judged) < len(leads[0]["rows"]) - 1
    assert {text for text in texts if text in final_report["classes"]} == set(judged)
    assert "ensemble of 2 of these" in texts
    assert draw_gap_steps(typed(searched_report)) == ""


def test_the_gap_of_more_leads_than_there_is_room_for_is_of_the_best(
    final_report: dict[str, Any],
) -> None:
    (first, *_) = final_report["teacher_gap"]["leads"]
    leads = [first | {"lead": name} for name in LEADS]
    gap = final_report["teacher_gap"] | {"leads": leads}
    texts = re.findall(
        r"<text[^>]*>([^<]+)</text>", draw_gap_steps(typed(final_report | {"teacher_gap": gap}))
    )
    assert [text for text in texts if text in LEADS] == list(LEADS[:DRAWN_LEADS])


def test_ranked_leads_name_the_best_and_the_teacher(final_report: dict[str, Any]) -> None:
    svg = draw_ranked_leads(typed(final_report))
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    drawn = [text for text in texts if text in LEADS]
    assert drawn == [lead["lead"] for lead in final_report["leads"]]
    assert "teacher, 12 leads" in texts
    assert f"{final_report['leads'][0]['test']['macro_auroc']:.3f}" in svg


def test_before_finals_there_are_no_gains_to_draw(searched_report: dict[str, Any]) -> None:
    assert draw_gains(typed(searched_report)) == ""
    assert "validation split" in draw_ranked_leads(typed(searched_report))


def test_learning_curves_say_after_which_epochs_trials_were_scored() -> None:
    def drawn(*epochs: int) -> str:
        curve = replace(record_of(0, "I", 0.9), values=dict.fromkeys(epochs, 0.9), unscored_epoch=8)
        svg = draw_learning_curves([curve], ["I"])
        found = re.search(r"<desc[^>]*>([^<]+)</desc>", svg)
        assert found is not None
        return found[1]

    assert "AUROC after epochs 4, 8 and 9: trials were validated only after these" in drawn(4, 8, 9)
    assert "AUROC after epoch 9, the only one" in drawn(9)
    assert "AUROC after every epoch." in drawn(*range(1, 10))


def test_without_trials_there_is_nothing_to_draw() -> None:
    assert draw_learning_curves((), ("I",)) == ""
    assert draw_slices(()) == ""


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 12))
def test_roc_curves_are_those_of_scikit_learn(seed: int, n: int, n_levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, n_levels, n) / n_levels
    positive = rng.random(n) < 0.4
    positive[:2] = True, False
    alarms, hits, _ = roc_curve(positive, scores, drop_intermediate=False)
    # The highest sensitivity at each false positive rate, then straight lines.
    rates = np.unique(alarms)
    tops = np.array([hits[alarms == rate].max() for rate in rates])
    np.testing.assert_allclose(
        roc_on_grid(positive, scores), np.interp(GRID, rates, tops), atol=1e-12
    )


def comparison_of(labels_NC: np.ndarray, *scores_RNC: np.ndarray) -> Comparison:
    styles = (CHOSEN_STYLE, ALONE_STYLE)
    return Comparison(
        condition="II",
        split="test",
        classes=tuple(f"class {c}" for c in range(labels_NC.shape[1])),
        labels_NC=labels_NC,
        models=tuple(
            Model(style=style, scores_RNC=scores)
            for style, scores in zip(styles, scores_RNC, strict=False)
        ),
    )


def test_areas_in_the_roc_figure_are_means_over_seeds() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((60, 2)) < 0.5).astype(np.float32)
    scores = rng.random((3, 60, 2)).astype(np.float32)
    svg = draw_roc(comparison_of(labels, scores), "roc-test")
    for column in range(2):
        area = np.mean([roc_auc_score(labels[:, column], s[:, column]) for s in scores])
        assert f"distilled {area:.3f}" in svg


def test_a_class_that_no_recording_has_gets_no_curve() -> None:
    labels = np.zeros((20, 2), np.float32)
    labels[:10, 0] = 1
    svg = draw_roc(comparison_of(labels, np.full((1, 20, 2), 0.5, np.float32)), "roc-test")
    assert "class 0" in svg
    assert "class 1" not in svg


NAMES = st.text(min_size=1, max_size=40).filter(lambda name: name.strip() and name.isprintable())
"""Text that a source may call a class."""
MARKUP = [
    "$x_1$",
    "$",
    r"\alpha_b^{c} \frac{",
    "</text><script>",
    'say "0.123456" id="x" url(#x)',
    "#010a01 font-family: x;",
    "\u5fc3\u623f\u98a4\u52a8 \U0001fac0 \u05d0\u05d1",
]


@pytest.fixture(scope="module")
def plain_texts() -> list[str]:
    return texts_of_panels(["plain"])


def texts_of_panels(names: list[str]) -> list[str]:
    """All texts in a figure with one panel for each name."""
    labels = np.zeros((20, len(names)), np.float32)
    labels[:10] = 1
    scores = np.tile(np.linspace(0, 1, 20, dtype=np.float32)[None, :, None], (1, 1, len(names)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = draw_roc(replace(comparison_of(labels, scores), classes=tuple(names)), "roc-test")
    return [one.text for one in ElementTree.fromstring(svg).iter() if one.text]


@settings(max_examples=6)
@given(names=st.lists(NAMES, min_size=1, max_size=3))
@example(names=MARKUP)
def test_a_name_from_data_is_drawn_as_it_is_and_changes_nothing_beside_it(
    names: list[str], plain_texts: list[str]
) -> None:
    texts = texts_of_panels(names)
    titles = [text for text in texts if text.endswith("  (10 positive)")]
    assert titles == [f"{label(name, 16)}  (10 positive)" for name in names]
    # What is beside a name is as it is beside a plain one.
    scores = [text for text in texts if text.startswith("distilled 0")]
    assert scores == [text for text in plain_texts if text.startswith("distilled 0")] * len(names)


@given(text=st.text(max_size=80), n_most=st.integers(3, 40))
def test_a_long_name_keeps_both_ends_on_one_line(text: str, n_most: int) -> None:
    drawn, whole = label(text, n_most), " ".join(text.split())
    assert len(drawn) <= n_most
    assert "\n" not in drawn
    if len(whole) <= n_most:
        assert drawn == whole
    else:
        first, last = drawn.split("\N{HORIZONTAL ELLIPSIS}", 1)[0], drawn[-1]
        assert whole.startswith(first)
        assert whole.endswith(last)


def test_calibration_by_hand() -> None:
    labels = np.array([[0.0], [0.0], [1.0], [1.0]])
    scores = np.array([[[0.1], [0.3], [0.6], [0.8]]])
    predicted, observed, counts = equal_bins(labels[:, 0], scores[0, :, 0], n_bins=2)
    np.testing.assert_allclose(predicted, [0.2, 0.7])
    np.testing.assert_allclose(observed, [0.0, 1.0])
    assert counts.tolist() == [2, 2]
    (row,) = calibration_scores(comparison_of(labels, scores))
    # Ten bins of at most one recording each: every recording's own gap.
    assert row.expected_calibration_error == pytest.approx((0.1 + 0.3 + 0.4 + 0.2) / 4)
    assert row.brier == pytest.approx(brier_score_loss(labels[:, 0], scores[0, :, 0]))
    assert row.prevalence == 0.5


def record_of(number: int, lead: str, value: float, **drawn: Any) -> TrialRecord:
    trial = Trial(
        number=number,
        condition=Condition(leads=(lead,)),
        arm=Arm.SEARCH,
        hyperparameters=drawn,
    )
    result = TrialResult(number=number, state=TrialState.COMPLETE, macro_auroc=value, epochs=1)
    return TrialRecord(
        trial=trial, drawn=drawn, state=TrialState.COMPLETE, values={1: value}, result=result
    )


@settings(max_examples=20)
@given(st.floats(-0.3, 0.3), st.integers(0, 100))
def test_what_a_lead_shows_does_not_move_its_trials(shift: float, seed: int) -> None:
    values = np.random.default_rng(seed).random(10)
    records = [record_of(n, "I" if n % 2 else "V2", v, x=float(n)) for n, v in enumerate(values)]
    shifted = [
        record_of(n, "I" if n % 2 else "V2", v + (shift if n % 2 else 0.0), x=float(n))
        for n, v in enumerate(values)
    ]
    before = [trial.difference for trial in centred_trials(records)]
    after = [trial.difference for trial in centred_trials(shifted)]
    np.testing.assert_allclose(before, after, atol=1e-12)


def test_a_pruned_trial_is_compared_at_its_last_epoch() -> None:
    full = [record_of(n, "I", 0.9) for n in range(2)]
    full = [replace(each, values={1: 0.5 + 0.1 * n, 2: 0.9}) for n, each in enumerate(full)]
    cut = replace(record_of(2, "I", 0.0), state=TrialState.PRUNED, values={1: 0.4})
    (*_, pruned) = centred_trials([*full, cut])
    assert pruned.was_pruned
    assert pruned.difference == pytest.approx(0.4 - 0.5)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50))
def test_fifths_follow_the_order(differences: list[float]) -> None:
    steps = [step_of(value, differences) for value in sorted(differences)]
    assert steps == sorted(steps)
    assert 0 <= steps[0] <= steps[-1] < len(STEPS)


@given(st.integers(1, 500), st.integers(2, 60))
def test_thinning_keeps_both_ends(n: int, n_most: int) -> None:
    kept = thin(range(n), n_most)
    assert (kept[0], kept[-1]) == (0, n - 1)
    assert len(kept) <= max(1, min(n, n_most))


def recording_with(signal_mv: np.ndarray, rate_hz: float, leads: tuple[str, ...]) -> Recording:
    return Recording(
        source="synthetic", record_id="7", patient_id="7", signal_mv=signal_mv.astype(np.float32),
        sampling_rate_hz=rate_hz, leads=leads,
    )  # fmt: skip


def traces_of(svg: str) -> list[np.ndarray]:
    """Points of every line but the calibration pulses, in millimetres."""
    paths = re.findall(r'class="ecg-trace" d="M([-\d. ]+)"', svg)
    return [np.array(path.split(), float).reshape(-1, 2) for path in paths]


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 1000.0])
def test_strips_are_true_to_scale_at_any_rate(rate_hz: float) -> None:
    signal_mv = np.zeros((1, round(10 * rate_hz)))
    signal_mv[0, round(2 * rate_hz)] = 3.0
    svg = draw_strip(recording_with(signal_mv, rate_hz, ("II",)), "II", "strip")
    first, second = traces_of(svg)
    assert first[-1, 0] - first[0, 0] == pytest.approx(5 * 25, abs=0.11)
    base, top = np.median(first[:, 1]), first[:, 1].min()
    assert base - top == pytest.approx(3 * 10, abs=0.01)
    assert first[first[:, 1].argmin(), 0] - first[0, 0] == pytest.approx(2 * 25, abs=0.11)
    assert top > 0
    assert np.ptp(second[:, 1]) == 0
    assert 'width="140mm"' in svg


def test_a_lead_that_is_missing_is_not_drawn() -> None:
    recording = recording_with(np.zeros((2, 1000)), 100.0, ("I", "V2"))
    assert draw_strip(recording, "II", "strip") == ""
    sheet = draw_context(recording, "I", "sheet")
    assert sheet.count("(missing)") == 10
    assert len(traces_of(sheet)) == 2


MakeFinals = Callable[..., FinalsResults]


def decisions(
    finals: FinalsResults, key: tuple[str, str]
) -> tuple[np.ndarray, Mapping[int, float]]:
    """Decide as the page says, by trying thresholds one by one."""
    known, said = finals.validation.labels_NC, finals.validation.scores[key].mean(axis=0)
    scores = finals.test.scores[key].mean(axis=0)
    thresholds: dict[int, float] = {}
    for column in range(scores.shape[1]):
        cuts = np.unique(said[:, column])
        f1 = [f1_score(known[:, column], said[:, column] >= cut) for cut in cuts]
        best = len(cuts) - 1 - int(np.argmax(f1[::-1]))
        below = cuts[best - 1] if best else cuts[0]
        thresholds[column] = float(below + (cuts[best] - below) / 2)
    return np.stack([scores[:, c] >= t for c, t in thresholds.items()], axis=1), thresholds


def test_examples_are_right_by_the_distilled_student_and_wrong_alone(
    make_finals: MakeFinals,
) -> None:
    finals = make_finals({("chosen", "II"): 1.0, ("student_alone", "II"): 0.7})
    examples = find_examples(finals, "II")
    assert examples is not None
    truth = finals.test.labels_NC > 0
    distilled, _ = decisions(finals, ("chosen", "II"))
    alone, _ = decisions(finals, ("student_alone", "II"))
    distilled_right = (distilled == truth).all(axis=1)
    alone_right = (alone == truth).all(axis=1)
    wanted = distilled_right & ~alone_right
    assert examples.n_only_distilled_right == wanted.sum() > 0
    assert examples.n_only_alone_right == (alone_right & ~distilled_right).sum()
    assert 0 < len(examples.shown) <= N_MOST
    rows = {str(name): row for row, name in enumerate(finals.test.record_ids_N)}
    for shown in examples.shown:
        row = rows[shown.record_id]
        assert wanted[row]
        for column, judgement in enumerate(shown.judgements):
            assert judgement.is_present == truth[row, column]
            assert judgement.alone_predicts == alone[row, column]
            assert judgement.alone_is_wrong == (alone[row, column] != truth[row, column])


def test_without_the_baseline_there_are_no_examples(make_finals: MakeFinals) -> None:
    assert find_examples(make_finals({("chosen", "II"): 1.0}), "II") is None


def test_of_very_many_trials_figures_show_some_of_all_scores() -> None:
    few = [replace(_centred(n), difference=0.001 * ((n * 37) % 400)) for n in range(400)]
    assert drawn_trials(few) == few
    many = [replace(_centred(n), difference=0.001 * ((n * 37) % 2500)) for n in range(2500)]
    shown = drawn_trials(many)
    assert len(shown) == N_DRAWN
    assert [trial.number for trial in shown] == sorted(trial.number for trial in shown)
    differences = sorted(trial.difference for trial in shown)
    assert (differences[0], differences[-1]) == (0.0, 0.001 * 2499)
    assert differences[N_DRAWN // 2] == pytest.approx(1.25, abs=0.01)


def _centred(number: int) -> CentredTrial:
    return CentredTrial(
        number=number, condition="I", drawn={"kd_weight": 1.0}, difference=0.0, was_pruned=False
    )
