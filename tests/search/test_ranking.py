from typing import TYPE_CHECKING

from mvkt_ray.records import Arm, TrialResult, TrialState
from mvkt_ray.search.ranking import rank_leads

if TYPE_CHECKING:
    from conftest import Lab


def test_leads_are_ranked_by_their_best_complete_search_trial(lab: "Lab") -> None:
    study = lab.open(lab.config(leads=("V1", "I", "II", "V5"), n_trials=24, sampler="random"))
    while (trial := study.ask()) is not None:
        if trial.condition.name == "V5" and trial.arm is Arm.SEARCH:
            diverged = TrialState.DIVERGED
            study.tell(TrialResult(number=trial.number, state=diverged, macro_auroc=0.99))
        else:
            lab.train(study, trial)
    ranks = rank_leads(study)
    assert [rank.condition.name for rank in ranks] == ["II", "I", "V1", "V5"]
    for rank in ranks[:3]:
        own = [r for r in study.trials() if r.condition == rank.condition.name]
        complete = [r for r in own if r.trial.arm is Arm.SEARCH and r.macro_auroc is not None]
        assert rank.macro_auroc == max(r.macro_auroc or 0 for r in complete)
        assert rank.best in complete
        assert rank.student_alone is not None
        assert rank.student_alone.trial.hyperparameters["kd_weight"] == 0.0
        assert rank.plain_kd is not None
        assert rank.plain_kd.trial.arm is Arm.PLAIN_KD
        assert rank.n_trials == 6 == rank.n_complete + rank.n_pruned
    last = ranks[-1]
    assert (last.best, last.macro_auroc, last.n_failed) == (None, None, 4)


def test_a_study_that_has_just_begun_has_every_lead_and_no_result(lab: "Lab") -> None:
    ranks = rank_leads(lab.open(lab.config()))
    assert [(rank.condition.name, rank.best, rank.n_trials) for rank in ranks] == [
        ("II", None, 0),
        ("V1", None, 0),
    ]
