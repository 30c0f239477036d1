"""Students with a variable size: the hyper-parameters that set it, and the resulting size.

A student without a variable width has no hyper-parameter `student_width` in any trial, so that
neither the sampler nor a reader takes a number without effect for a finding.
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
"""Hyper-parameters of some students only; the network's parameter is the name behind `_`."""


def has(student: str, name: str) -> bool:
    """Whether a student has a hyper-parameter."""
    return name not in SIZE_PARAMETERS or _own_name(name) in network_row(student).parameters


def without_unused_sizes(
    values: Mapping[str, Scalar], named: Collection[str] = (), where: str = ""
) -> dict[str, Scalar]:
    """Return hyper-parameters without the sizes that their student does not have.

    Args:
        values: Hyper-parameters by name, including `student`.
        named: Names that the study file sets explicitly for this student.
        where: The study file's key that sets them.

    Raises:
        ConfigError: A named size would have no effect.
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
    """Return the numbers of parameters and operations of a student, without building it.

    The first call for a size takes milliseconds; the result is cached.

    Args:
        hyperparameters: Hyper-parameters by name; missing sizes have their defaults.
        n_leads: Number of leads of the condition.
        n_classes: Number of classes of the task.
        n_samples: Length of an evaluation window: the view's `crop_samples`.
    """
    # torch takes longer to import than most commands that read a study.
    from mvkt_ray.models.networks import facts_of_unbuilt

    defaults = Hyperparameters()
    student = str(hyperparameters.get("student", defaults.student))
    # Without sizes that have no effect, each of which would be a new key of the cache.
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
    """Raise if the space of a study sets sizes for students without a variable size.

    A fixed size is allowed if one of the study's students has it. A drawn size must be conditional
    on these students, since the sampler would learn from values without effect.

    Raises:
        ConfigError: The message has the students, and the required `when`.
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
    """Return the students for which a parameter of the space is drawn."""
    allowed = row.when.get("student")
    of_space = config.space.get("student", ParameterConfig(value=Hyperparameters().student))
    students = of_space.choices or (of_space.value,)
    return _known(str(student) for student in students if allowed is None or student in allowed)


def _known(students: Iterable[str]) -> list[str]:
    """Return the names of networks only; unknown names are refused elsewhere."""
    return [student for student in students if student in network_names()]


def _own_name(name: str) -> str:
    return name.removeprefix("student_")


def _sized(name: str) -> list[str]:
    # Built-ins only: plug-ins that the study does not name must not be imported.
    return [student for student in NETWORKS if has(student, name)]


def _alternative(name: str) -> str:
    return " or ".join(f"student: {student}" for student in _sized(name))
