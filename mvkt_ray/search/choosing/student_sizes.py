"""Students that have a size to choose: which hyper-parameters set it, and how large they are.

A student without a width has no hyper-parameter `student_width`: in none of its trials, so that
neither the sampler nor a reader takes a number that does nothing for a finding.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.models.network_table import NETWORKS, network_names, network_row

if TYPE_CHECKING:
    from mvkt_ray.models.facts import NetworkFacts

SIZE_PARAMETERS = ("student_width", "student_depth")
"""Hyper-parameters that only some students have; the network's own name is what follows `_`."""


def has(student: str, name: str) -> bool:
    """Whether a student has a hyper-parameter."""
    return name not in SIZE_PARAMETERS or _own_name(name) in network_row(student).parameters


def of_its_student(
    values: Mapping[str, Scalar], named: Collection[str] = (), where: str = ""
) -> dict[str, Scalar]:
    """Return hyper-parameters without those that their student does not have.

    Args:
        values: Hyper-parameters by name, `student` among them.
        named: Those of them that the study file sets for this very student.
        where: The key that it does so at.

    Raises:
        ConfigError: One that is named would do nothing.
    """
    student = str(values["student"])
    for name in named:
        if not has(student, name):
            raise ConfigError(
                f"{where}: {name} is {values[name]!r}, but the student is {student}, whose "
                f"{_own_name(name)} is fixed. Leave {name} out, or set {_alternative(name)} "
                "beside it."
            )
    return {name: value for name, value in values.items() if has(student, name)}


def student_facts(
    hyperparameters: Mapping[str, Scalar], *, n_leads: int, n_classes: int, n_samples: int
) -> "NetworkFacts":
    """Count the parameters and the work of a student that nobody has built.

    It takes milliseconds the first time, and nothing when the same size is asked for again.

    Args:
        hyperparameters: By name; those that set the size have their defaults where left out.
        n_leads: Leads of the condition.
        n_classes: Of the task.
        n_samples: Length of an evaluation window: the view's `crop_samples`.
    """
    # torch takes longer to import than most commands that read a study.
    from mvkt_ray.models.networks import facts_of_unbuilt

    defaults = Hyperparameters()
    student = str(hyperparameters.get("student", defaults.student))
    # Sizes that do nothing are not looked at: each would be counted anew.
    chosen = {name: value for name, value in hyperparameters.items() if has(student, name)}
    return facts_of_unbuilt(
        student,
        n_leads,
        n_classes,
        n_samples,
        width=int(chosen.get("student_width", defaults.student_width)),
        depth=int(chosen.get("student_depth", defaults.student_depth)),
    )


def check_sizes_of_space(config: StudyConfig) -> None:
    """Raise where the space of a study sets sizes of students that have none.

    A fixed size may stand beside students of one size, for those of the study that have one; a
    drawn one would be learned from by the sampler, so that it is drawn where it counts only.

    Raises:
        ConfigError: Says which student it is, and what `when` to write.
    """
    for name in SIZE_PARAMETERS:
        row = config.space.get(name)
        if row is None:
            continue
        if not any(has(student, name) for student in _known(config.students)):
            raise ConfigError(
                f"space.{name} is set, but no student of this study has a variable "
                f"{_own_name(name)}: they are {', '.join(sorted(config.students))}. Remove "
                f"{name}, or set {_alternative(name)}."
            )
        idle = [student for student in _drawn_with(row, config) if not has(student, name)]
        if row.value is None and idle:
            raise ConfigError(
                f"space.{name} is drawn for {', '.join(sorted(idle))}, too, whose "
                f"{_own_name(name)} is fixed: the sampler would learn from a parameter without "
                f"effect. Add `when: {{student: [{', '.join(_sized(name))}]}}` to it."
            )


def _drawn_with(row: ParameterConfig, config: StudyConfig) -> list[str]:
    """Students of the space that a drawn parameter may be drawn beside."""
    allowed = row.when.get("student")
    of_space = config.space.get("student", ParameterConfig(value=Hyperparameters().student))
    students = of_space.choices or (of_space.value,)
    return _known(str(student) for student in students if allowed is None or student in allowed)


def _known(students: Iterable[str]) -> list[str]:
    """Leave out names that no network has; they are refused where they stand."""
    return [student for student in students if student in network_names()]


def _own_name(name: str) -> str:
    return name.removeprefix("student_")


def _sized(name: str) -> list[str]:
    # Of ours: a plug-in that is not named is not imported, either.
    return [student for student in NETWORKS if has(student, name)]


def _alternative(name: str) -> str:
    return " or ".join(f"student: {student}" for student in _sized(name))
