"""A loaded student says of a recording what the study's examination said of it."""

from pathlib import Path

import pytest
import torch

import mvkt_ray as mvkt
from mvkt_ray.data.recording import Recording
from mvkt_ray.training.predictions_file import read_predictions


@pytest.mark.parametrize("lead", ["II", "V1"])
def test_it_says_what_the_finals_said_of_every_test_recording(
    finished: mvkt.Study, shards_dir: Path, lead: str
) -> None:
    student = mvkt.load_student(finished, lead, seed=1)
    number = finished.trials.query(
        f"stage == 'finals' and lead == '{lead}' and arm == 'chosen' and repetition == 1"
    )["trial"].item()
    stored = read_predictions(finished.material.folder.final(1).test(number))
    shards = mvkt.open_shards(shards_dir)
    assert student.classes == stored.classes
    for record_id, expected_C in zip(stored.record_ids_N, stored.probabilities_NC, strict=True):
        said = student.predict(shards[record_id])
        assert list(said.values()) == pytest.approx(expected_C.tolist(), abs=1e-6)


def test_without_a_lead_it_is_the_first_of_the_ranking(finished: mvkt.Study) -> None:
    first = finished.leads["lead"].iloc[0]
    assert mvkt.load_student(finished.path).leads == (first,)
    assert mvkt.load_student(finished, first.lower()).leads == (first,)


def test_it_is_a_module_of_torch(finished: mvkt.Study) -> None:
    student = mvkt.load_student(finished, "V1")
    probabilities_BC = student(torch.zeros(3, 1, student.window_samples))
    assert probabilities_BC.shape == (3, len(student.classes))
    assert not student.training
    assert (
        sum(each.numel() for each in student.parameters())
        == finished.leads.query("lead == 'V1'")["n_parameters"].item()
    )


def test_what_is_not_there_is_named_as_an_argument(
    searched: mvkt.Study, finished: mvkt.Study, shards_dir: Path
) -> None:
    with pytest.raises(mvkt.ConfigError, match=r"^lead 'V9' is not a lead of this study.*II"):
        mvkt.load_student(finished, "V9")
    with pytest.raises(mvkt.ConfigError, match=r"^contender 'chossen'.*did you mean 'chosen'"):
        mvkt.load_student(finished, "V1", contender="chossen")
    with pytest.raises(mvkt.ConfigError, match=r"^seed 7: "):
        mvkt.load_student(finished, "V1", seed=7)
    with pytest.raises(mvkt.ConfigError, match=r"no completed finals.*from_search=True"):
        mvkt.load_student(searched, "V1")
    assert mvkt.load_student(searched, "V1", from_search=True).leads == ("V1",)
    recording = mvkt.open_shards(shards_dir)[0]
    without = Recording(
        source="x",
        record_id="r",
        patient_id="p",
        signal_mv=recording.signal_mv[:1],
        sampling_rate_hz=100.0,
        leads=("I",),
    )
    with pytest.raises(mvkt.RecordingError, match="no lead V1") as error:
        mvkt.load_student(finished, "V1").predict(without)
    assert error.value.reason == "missing_lead"
