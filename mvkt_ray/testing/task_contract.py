"""The contract suite of tasks, for built-ins, users' files and plug-ins."""

import json

import numpy as np
import pytest

from mvkt_ray.data.tasks import Task


class TaskContract:
    """Contract of a task; subclass it, and override `task`.

    class TestSickOrNot(TaskContract):
        @pytest.fixture
        def task(self):
            return plugin_task("sick_or_not", ())
    """

    @pytest.fixture
    def task(self) -> Task:
        """Return the task."""
        raise NotImplementedError("override the fixture task")

    def test_every_code_marks_its_classes_and_no_other(self, task: Task) -> None:
        """Labels are multi-hot, in the order of the classes."""
        codes = list(task.class_of_code)
        labels_NC = task.labels([[code] for code in codes])
        assert labels_NC.shape == (len(codes), len(task.classes))
        assert labels_NC.dtype == np.float32
        for code, label_C in zip(codes, labels_NC, strict=True):
            marked = {name for name, value in zip(task.classes, label_C, strict=True) if value}
            assert marked == set(task.class_of_code[code]), f"{code} marks {sorted(marked)}"

    def test_every_class_has_a_code(self, task: Task) -> None:
        """A class without a code would have no recordings."""
        n_codes_C = task.labels([[code] for code in task.class_of_code]).sum(axis=0)
        without = [name for name, n in zip(task.classes, n_codes_C, strict=True) if not n]
        assert not without, f"no code belongs to {', '.join(without)}"

    def test_a_recording_with_all_codes_has_all_classes_and_one_with_none_has_none(
        self, task: Task
    ) -> None:
        """Classes are independent: none excludes another one."""
        labels_NC = task.labels([list(task.class_of_code), [], ["no such code"]])
        np.testing.assert_array_equal(labels_NC.sum(axis=1), [len(task.classes), 0, 0])

    def test_it_comes_back_from_json_as_it_was(self, task: Task) -> None:
        """Manifests store tasks as JSON."""
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
