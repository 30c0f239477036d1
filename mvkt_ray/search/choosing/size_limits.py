"""Limits of a student's size, applied to proposals: no trial has a student that is too large.

The hyper-parameters determine the size, so that it is known before a training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mvkt_ray.config.objectives import SizeLimitsConfig
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import listing
from mvkt_ray.search.choosing.student_sizes import SIZE_PARAMETERS, student_facts

Params = Mapping[str, Scalar]

SIZING = ("student", *SIZE_PARAMETERS)
"""Hyper-parameters that determine the size of a student."""

_UNITS = {"parameters": "parameters", "macs": "multiply-accumulates"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeLimits:
    """Upper bounds on a student's size, for the leads, classes and windows of a study."""

    limits: SizeLimitsConfig
    n_leads: int
    """Leads of the condition with most leads: the limits apply to its student, so that all
    conditions have the same students."""
    n_classes: int | None
    """None: not known yet, so that nothing can be drawn."""
    n_samples: int
    """Length of an evaluation window."""

    @property
    def allowed(self) -> str:
        """Description of the limits, for messages."""
        return listing(
            [f"{getattr(self.limits, name):,.0f} {_UNITS[name]}" for name in self.limits.given]
        )

    def excess(self, hyperparameters: Params) -> float:
        """Return the largest ratio of a student's size to its limit; above 1 it is too large."""
        sizes = self._sizes(hyperparameters)
        return max(sizes[name] / getattr(self.limits, name) for name in self.limits.given)

    def keeps(self, hyperparameters: Params) -> bool:
        """Whether a student is within all limits."""
        return self.excess(hyperparameters) <= 1

    def check(self, hyperparameters: Params, whose: str, advice: str) -> None:
        """Raise unless a student is within all limits.

        Args:
            hyperparameters: By name.
            whose: Begins the message: whose student it is.
            advice: Ends the message: an alternative to raising the limits.

        Raises:
            ConfigError: With its size and the limits.
        """
        if not self.keeps(hyperparameters):
            raise ConfigError(
                f"search.limits: {whose} is {self.described(hyperparameters)}, but the limit is "
                f"{self.allowed}. Raise it, or {advice}."
            )

    def described(self, hyperparameters: Params) -> str:
        """Return a description of a student's network and size."""
        named = [
            f"{name.removeprefix('student_')} {hyperparameters[name]}"
            for name in SIZE_PARAMETERS
            if name in hyperparameters
        ]
        which = f" of {listing(named)}" if named else ""
        sizes = self._sizes(hyperparameters)
        comes_to = listing([f"{sizes[name]:,} {unit}" for name, unit in _UNITS.items()])
        leads = "1 lead" if self.n_leads == 1 else f"{self.n_leads} leads"
        return (
            f"{hyperparameters['student']}{which}, which has {comes_to} for a window of "
            f"{self.n_samples} samples of {leads}"
        )

    def within(self, students: Sequence[Params]) -> list[Params]:
        """Return the students within all limits, the smallest first.

        Args:
            students: Complete hyper-parameters; at least the smallest and largest of the space.

        Raises:
            ConfigError: No student is within the limits; the message has the nearest.
        """
        kept = [each for each in students if self.keeps(each)]
        if not kept:
            nearest = min(students, key=self.excess)
            whose = "no student of the space is small enough. The nearest"
            self.check(nearest, whose, "let `space` draw smaller students")
        return sorted(kept, key=lambda each: tuple(self._sizes(each).values()))

    def _sizes(self, hyperparameters: Params) -> dict[str, int]:
        assert self.n_classes is not None
        facts = student_facts(
            hyperparameters,
            n_leads=self.n_leads,
            n_classes=self.n_classes,
            n_samples=self.n_samples,
        )
        return {"parameters": facts.n_parameters, "macs": facts.n_multiply_accumulates}
