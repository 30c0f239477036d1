"""A choice is corrected only where there was one, and by predictions of the same recordings."""

from collections.abc import Callable

import pytest

from mvkt_ray.delivery.facts.chosen import Selections
from mvkt_ray.delivery.facts.class_means import validation_scores
from mvkt_ray.delivery.facts.material import gather_material
from mvkt_ray.errors import DataError
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.training.trial_files import TrialFolder

Copy = Callable[[StudyFolder], StudyFolder]


def test_one_candidate_is_no_choice(searched_study: StudyFolder) -> None:
    material = gather_material(searched_study)
    selections = Selections(material)
    scores = validation_scores(0.8, {}, material.classes)
    described = selections.describe_lead("II", material.searched[:1], scores)
    assert described.corrected is described.corrected_ci is None
    assert (described.macro_auroc, described.n_candidates) == (0.8, 1)
    best = selections.correct(material.searched)
    assert best is not None
    assert best[0].macro_auroc == max(record.macro_auroc or 0 for record in material.searched)


def test_predictions_of_other_recordings_are_refused(
    final_study: StudyFolder, copy_of: Copy
) -> None:
    folder = copy_of(final_study)
    target = TrialFolder.of(folder.trials, 10).validation
    target.write_bytes(folder.final(1).teacher_test.read_bytes())
    with pytest.raises(DataError, match=r"00010/validation\.arrow of trial 10 cannot be read"):
        Selections(gather_material(folder))
