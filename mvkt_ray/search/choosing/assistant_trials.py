"""Plans the trainings of assistants, one for each condition before its trials; draws nothing."""

from dataclasses import asdict

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import Arm, Trial
from mvkt_ray.search.choosing.parameters import check_hyperparameters
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.student_sizes import without_unused_sizes

_AS_TEACHER = (
    "batch_size",
    "dropout",
    "optimizer",
    "schedule",
    "warmup_epochs",
    "warmup_factor",
    "learning_rate",
    "weight_decay",
)
"""Hyper-parameters taken from the teacher, whose network an assistant most often shares."""

_AS_STUDENTS = ("label_weight", "kd_loss", "distill_temperature")
"""Hyper-parameters taken from the defaults of the study's space."""


def assistant_trials(config: StudyConfig, space: SearchSpace) -> tuple[Trial, ...]:
    """Return the training of each condition's assistant, numbered in the study's order.

    It minimises the label loss and MKD: CLT is left to the students.

    Raises:
        ConfigError: There is no network of the assistant's name, or it would learn nothing.
    """
    made = config.teacher.of_assistant()
    if made is None:
        return ()
    own: dict[str, Scalar] = {name: getattr(made, name) for name in _AS_TEACHER}
    own |= {name: space.defaults[name] for name in _AS_STUDENTS}
    own |= {
        "student": made.network,
        # A space may fix it to 0, but an assistant without distillation is no assistant.
        "kd_weight": space.defaults["kd_weight"] or Hyperparameters().kd_weight,
        "clt_weight": 0.0,
    }
    plain = {**asdict(Hyperparameters()), **own}
    check_hyperparameters(plain, "teacher.assistant")
    values = without_unused_sizes(plain)
    return tuple(
        Trial(number=number, condition=condition, arm=Arm.ASSISTANT, hyperparameters=values)
        for number, condition in enumerate(space.conditions)
    )
