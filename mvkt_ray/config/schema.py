"""Frozen dataclass of a whole study file; its sections are in the modules beside it.

They are plain Python: `study_file` reads YAML into them. Rules between the fields of one class are
in its `__post_init__`; their messages name the field, the value and the valid ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mvkt_ray.config.checks import Section, require, require_not_negative
from mvkt_ray.config.data_config import DataConfig, ViewConfig
from mvkt_ray.config.recipes import NO_PLUGIN, Hyperparameters, StudentConfig, TeacherConfig
from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.search_config import FinalsConfig, ParameterConfig, Scalar, SearchConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyConfig(Section):
    """A whole study."""

    name: str
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    space: Mapping[str, ParameterConfig] = field(default_factory=dict[str, ParameterConfig])
    """Hyper-parameters by name; missing ones keep the defaults of `Hyperparameters`."""
    plain_kd: Mapping[str, Scalar] = field(
        default_factory=lambda: dict[str, Scalar](
            kd_loss="softmax_kd", kd_weight=1.0, distill_temperature=2.0, clt_weight=0.0
        )
    )
    """Hyper-parameters of the plain distillation baseline that differ from the defaults."""
    search: SearchConfig = field(default_factory=SearchConfig)
    finals: FinalsConfig = field(default_factory=FinalsConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)

    def __post_init__(self) -> None:
        require(
            bool(self.name) and all(c.isalnum() or c in "-_" for c in self.name),
            f"name must be letters, digits, - and _, got {self.name!r}",
        )
        require_not_negative(self, "seed")
        unused = sorted(set(self.resources.students) - self.students)
        require(
            not unused,
            f"resources.students names {', '.join(unused)}, which no trial of this study trains; "
            f"its networks are {', '.join(sorted(self.students))}",
        )

        longest = max(self._numbers("epochs"), default=0)
        require(
            longest <= self.student.epochs,
            f"epochs of a student must not be above student.epochs, which is {self.student.epochs}:"
            f" got {longest}; raise student.epochs to it",
        )
        finer_weight = max(self._numbers("finer_weight"), default=0.0)
        require(
            finer_weight == 0 or self.data.finer_task is not None,
            f"finer_weight is set, up to {finer_weight!r}, but data.finer_task is missing. Set it "
            "to the task of the finer labels, or leave finer_weight out",
        )
        require(
            "auto" not in self._given("kd_class_weights")
            or "student_alone" in self.search.baselines,
            "kd_class_weights: auto is computed from the validation scores of student_alone, "
            "which search.baselines lacks. Add it there, or set kd_class_weights: even",
        )
        require(
            self.teacher.assistant is None or self.student.knowledge != "online",
            "teacher.assistant and student.knowledge online exclude each other: the knowledge of "
            "an assistant is computed before the trials. Set student.knowledge to cached or "
            "record",
        )
        require(
            not self.teacher.cross_fitting or self.student.knowledge != "online",
            f"teacher.cross_fitting {self.teacher.cross_fitting} and student.knowledge online "
            "exclude each other: the teacher that leaves a recording out is chosen when "
            "knowledge is computed. Set student.knowledge to cached or record",
        )

        accumulating = [
            key for key, asked in self.resources.models().items() if asked.gradient_accumulation > 1
        ]
        require(
            accumulating in ([], ["teacher"]) or "infonce" not in self._values("clt_loss"),
            f"resources.{accumulating[0] if accumulating else ''}.gradient_accumulation above 1 "
            "and clt_loss infonce exclude each other: its negatives are the other recordings of "
            "the batch, and accumulation makes batches smaller. Use crd, or more workers",
        )

    @property
    def trial_epochs(self) -> int:
        """Epochs of an unpruned trial of the search, over all its seeds."""
        return self.student.epochs * self.search.seeds_per_trial

    @property
    def crop_samples(self) -> int:
        """Length of a training crop and of an evaluation window, in samples."""
        return round(self.view.crop_s * self.data.sampling_rate_hz)

    @property
    def students(self) -> set[str]:
        """Names of the networks that a trial or a final of the study may have."""
        return self._values("student")

    @property
    def plugin_losses(self) -> set[str]:
        """Names of the plug-ins' losses that a trial or a final of the study may have."""
        return self._values("plugin_loss") - {NO_PLUGIN}

    def trial_workers(self) -> tuple[WorkersConfig, ...]:
        """List the reservations that trials of the search may have, one per network drawn."""
        networks = self._drawn("student")
        if "plain_kd" in self.search.baselines and "student" in self.plain_kd:
            networks |= {str(self.plain_kd["student"])}
        asked = (self.resources.of_trial({"student": name}) for name in sorted(networks))
        return tuple(dict.fromkeys(asked))

    def _values(self, name: str) -> set[str]:
        """All that a hyper-parameter with named values may be in a trial or a final."""
        elsewhere = [self.plain_kd, *(each.set for each in self.finals.contenders.values())]
        return self._drawn(name) | {str(where[name]) for where in elsewhere if name in where}

    def _given(self, name: str) -> list[Scalar | None]:
        """All that a hyper-parameter is set to, or may be drawn as, or up to."""
        row = self.space.get(name)
        drawn = [] if row is None else [row.value, row.high, *(row.choices or ())]
        elsewhere = [self.plain_kd, *(each.set for each in self.finals.contenders.values())]
        return [*drawn, *(where.get(name) for where in elsewhere)]

    def _numbers(self, name: str) -> list[float]:
        """All that a hyper-parameter that is a number is set to, or may be drawn up to."""
        return [value for value in self._given(name) if isinstance(value, int | float)]

    def _drawn(self, name: str) -> set[str]:
        """All that the space may set a hyper-parameter with named values to."""
        default: str = getattr(Hyperparameters(), name)
        drawn = self.space.get(name, ParameterConfig(value=default))
        undrawn = [default] if drawn.when else []
        return {str(value) for value in [*(drawn.choices or (drawn.value,)), *undrawn]}
