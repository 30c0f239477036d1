"""Instances of Ray that are short of memory, or die."""

from pathlib import Path
from typing import Any

import psutil
import pytest
import stand_ins
from ray._private import worker as ray_worker
from stand_ins import EPOCHS, make_inputs, open_study, plan, trained

from mvkt_ray.errors import MachineError
from mvkt_ray.on_ray.connecting.environment import environment
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.records import TrialState

pytestmark = pytest.mark.ray

LEAST_ROOM_GB, MOST_ROOM_GB = 2.0, 6.0
"""For Ray itself, two workers, and what others take meanwhile, before the monitor acts."""


def test_a_search_goes_on_after_the_memory_monitor_has_killed_a_trial(tmp_path: Path) -> None:
    memory = psutil.virtual_memory()
    if memory.available < 6e9:
        pytest.skip(
            f"only {memory.available / 1e9:.1f} GB are free; filling 4 GB would hurt others"
        )
    room = min(max(LEAST_ROOM_GB, memory.available / 3e9), MOST_ROOM_GB)
    threshold = 1 - (memory.available - room * 1e9) / memory.total
    # As much as it takes when others give memory back meanwhile; the monitor acts before.
    most = memory.available / 1e9 - room
    plan(tmp_path, 1, epoch=3, do="fill memory", gigabytes=most)
    study = open_study(tmp_path, 4)
    with (
        environment({"RAY_memory_usage_threshold": f"{threshold:.4f}"}),
        OnRay.connect(n_cpus=1, run_trial=stand_ins.run_stand_in) as runner,
    ):
        runner.run_trials(study, make_inputs(tmp_path), lambda: None)

    records = study.trials()
    assert [record.state for record in records] == [TrialState.COMPLETE] * 4
    # More than once, or one of the others, if somebody else fills the memory, too.
    assert records[1].failures
    failures = [failure for record in records for failure in record.failures]
    assert all("OutOfMemoryError" in failure for failure in failures)
    assert [epoch for epoch, _ in trained(tmp_path, 1)] == list(range(1, EPOCHS + 1))


def test_when_ray_dies_the_search_says_so_and_can_be_taken_up(tmp_path: Path) -> None:
    plan(tmp_path, 0, epoch=2, do="wait")
    study = open_study(tmp_path, 2)

    def kill_raylet() -> None:
        if trained(tmp_path, 0):
            node: Any = ray_worker._global_node
            [raylet] = node.all_processes["raylet"]
            raylet.process.kill()

    with (
        OnRay.connect(n_cpus=1, run_trial=stand_ins.run_stand_in) as runner,
        pytest.raises(MachineError, match=r"Ray has stopped.*--resume"),
    ):
        runner.run_trials(study, make_inputs(tmp_path), kill_raylet)
    assert [record.state for record in study.trials()] == [TrialState.RUNNING]
