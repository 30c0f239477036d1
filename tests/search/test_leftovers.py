"""What nobody needs of a study is found and removed, and nothing else, whatever became of it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvkt_ray.records import Condition, TrialResult, TrialState
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.leftovers import ASIDE, CHECKPOINTS, Leftover, find_leftovers, remove
from mvkt_ray.search.ranking import rank_leads
from mvkt_ray.storage.location import Location

if TYPE_CHECKING:
    from conftest import Lab

OF_A_TRIAL = (
    *("checkpoint.pt", "student.safetensors", "validation.arrow"),
    *("result.json", "error.txt"),
)
ENDS = st.lists(st.sampled_from(list(TrialState)), min_size=4, max_size=14)


def put(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)


def files_in(folder: Path) -> set[str]:
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if "ledger.db" not in name}


@contextlib.contextmanager
def looking(lab: "Lab") -> Iterator[tuple[StudyFolder, LedgerDatabase]]:
    folder = StudyFolder(Location.parse(lab.folder))
    with reading(folder) as database:
        yield folder, database


def leftovers_of(lab: "Lab") -> tuple[Leftover, ...]:
    with looking(lab) as (folder, database):
        return find_leftovers(folder, database)


def study_that_ended(lab: "Lab", ends: list[TrialState]) -> set[str]:
    """Make a study with all files that a trial may have; return those that are needed."""
    config = lab.config(n_trials=len(ends), stop_after_failures=None)
    StudyFolder(Location.parse(lab.folder)).write_config(config)
    study = lab.open(config)
    for state in ends:
        trial = study.ask()
        assert trial is not None
        put(lab.folder / "trials" / f"{trial.number:05d}", *OF_A_TRIAL)
        if state.is_finished:
            value = 0.5 + trial.number / 100
            study.tell(TrialResult(number=trial.number, state=state, macro_auroc=value))
    needed = {"study.yaml"}
    best = {
        record.number
        for rank in rank_leads(study)
        for record in (rank.best, rank.student_alone, rank.plain_kd)
        if record is not None
    }
    for record in study.trials():
        names = set(OF_A_TRIAL)
        if record.state is not TrialState.RUNNING:
            names.discard("checkpoint.pt")
        if record.state is TrialState.COMPLETE and record.number not in best:
            names.discard("student.safetensors")
        needed |= {f"trials/{record.number:05d}/{name}" for name in names}
    study.close()
    return needed


@given(ends=ENDS, n_removed=st.integers(0, 20))
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_what_is_needed_stays_and_all_else_goes_however_often_it_is_killed(
    tmp_path_factory: pytest.TempPathFactory, lab: "Lab", ends: list[TrialState], n_removed: int
) -> None:
    lab.folder = tmp_path_factory.mktemp("study")
    needed = study_that_ended(lab, ends)
    remove(leftovers_of(lab)[:n_removed])
    found = leftovers_of(lab)
    # As one that was killed between two files, and as one that looked before another removed.
    remove(found)
    remove(found)
    assert files_in(lab.folder) == needed
    assert leftovers_of(lab) == ()


def test_what_killed_processes_left_goes_and_what_they_go_on_from_stays(lab: "Lab") -> None:
    needed = study_that_ended(lab, [TrialState.PRUNED] * 4)
    put(lab.folder, "shards/manifest.json", "knowledge/manifest.json")
    needed |= {"shards/manifest.json", "knowledge/manifest.json", "teacher.partial/0.pt"}
    put(lab.folder, "teacher.partial/0.pt")
    put(lab.folder, "shards.partial/rows.arrow", "ray/tune-1/x", "trials/00000/.c.pt.77.aside")
    put(lab.folder, "logs/search.log", "report/index.html")
    needed |= {"logs/search.log", "report/index.html"}
    found = leftovers_of(lab)
    assert {each.why for each in found} >= {ASIDE, CHECKPOINTS}
    assert all(each.size_bytes > 0 for each in found)
    remove(found)
    assert files_in(lab.folder) == needed


def test_assistants_are_needed_until_all_of_them_are_published(lab: "Lab") -> None:
    needed = study_that_ended(lab, [TrialState.PRUNED] * 4)
    leads, kinds = ("II", "V1"), ("teacher", "knowledge")
    parts = [f"assistants/{lead}/{kind}" for lead in leads for kind in kinds]
    published = [f"{part}/manifest.json" for part in parts]
    put(lab.folder, *published[:-1], "assistants/trials/00000/student.safetensors")
    trained = "assistants/trials/00000/student.safetensors"
    remove(leftovers_of(lab))
    assert files_in(lab.folder) == needed | {*published[:-1], trained}
    put(lab.folder, published[-1])
    StudyFolder(Location.parse(lab.folder)).assistants.write_usage({})
    remove(leftovers_of(lab))
    assert files_in(lab.folder) == needed | {*published, "assistants/usage.json"}


def test_what_finals_are_trained_on_goes_when_they_are_over_and_not_before(lab: "Lab") -> None:
    needed = study_that_ended(lab, [TrialState.PRUNED] * 4)
    files = ["knowledge/rows.arrow", "assistants/II/knowledge/rows.arrow"]
    own = [f"finals/01/{name}" for name in [*files, "plan.json", "trials/00000/test.arrow"]]
    put(lab.folder, *own)
    folder = StudyFolder(Location.parse(lab.folder))
    condition = Condition.from_name("II")
    chosen = Contender(
        name="chosen", condition=condition, hyperparameters={}, n_seeds=1, chosen_trial=None
    )
    ledger = FinalsLedger.begin(
        LedgerDatabase(lab.url), "lab", 1, plan=(chosen,), facts={"finals": {}}, reason=""
    )
    remove(leftovers_of(lab))
    assert files_in(lab.folder) == needed | set(own)
    opening = Opening(
        number=1,
        finals=1,
        opened_at="2026-01-01T00:00:00+00:00",
        mvkt_ray_version="",
        code="",
        commit=None,
        command="",
        host="",
        reason="",
        n_recordings=3,
        shards="",
        split="",
    )
    ledger.write_opening(opening.complete("sha256"))
    ledger.close()
    remove(leftovers_of(lab))
    assert files_in(lab.folder) == needed | set(own[2:])
    assert folder.final(1).plan.exists()
