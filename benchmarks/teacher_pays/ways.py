"""Ways to teach a student, each beside the student alone: same leads, same seeds, validation only.

Students are trained by `run_trial` as those of finals are, but nothing is examined: the test split
stays closed. Each has a folder of its own, which a second call finds and does not repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import Arm, Condition, Decision, EpochMetrics, Trial, TrialResult
from mvkt_ray.search.choosing.class_weights import class_weights
from mvkt_ray.storage.location import Location
from mvkt_ray.training.process import torch_threads
from mvkt_ray.training.student import TrialInputs, run_trial

BASE: Mapping[str, Scalar] = {
    "student": "xresnet1d18",
    "learning_rate": 5e-3,
    "weight_decay": 1e-2,
    "batch_size": 64,
    "kd_weight": 4.0,
    "distill_temperature": 2.0,
    "clt_weight": 0.0,
    "epochs": 25,
}
"""What every way sets its own on top of: MKD as `search_spaces/fidelity.yaml` has it."""

LONGEST = 50
"""Epochs, of the ways that are trained longest."""

ALONE = "alone"
MKD = "mkd"


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A way to teach a student, or to train it alone."""

    text: str
    set: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    teacher: str = "one"
    """A key of `TEACHERS`."""
    knowledge: Literal["cached", "record"] = "cached"
    """What `student.knowledge` is."""
    weighs_classes: bool = False
    """Whether MKD has weights of classes, from what the lead's student alone sees."""
    beside: str = ALONE
    """The student alone that it is compared with: one that was trained as long, and as well."""


TEACHERS: Mapping[str, Mapping[str, object]] = {
    "one": {},
    "three": {"members": 3},
    "assistant": {"assistant": True},
    "cross_fitting": {"cross_fitting": 4},
}
"""What a study says of its teacher, by name."""

WAYS: Mapping[str, Way] = {
    ALONE: Way(text="the student alone", set={"kd_weight": 0.0}),
    MKD: Way(text="MKD, weight 4, T 2"),
    "mkd_long": Way(
        text="MKD, weight 10, 50 epochs",
        set={"kd_weight": 10.0, "epochs": 50},
        beside="alone_long",
    ),
    "relation": Way(text="MKD + relations (DIST), weight 1", set={"relation_weight": 1.0}),
    "feature": Way(text="MKD + feature regression, weight 1", set={"feature_weight": 1.0}),
    "label_embedding": Way(
        text="MKD + label-wise embeddings (L2D), weight 1", set={"label_embedding_weight": 1.0}
    ),
    "mixup": Way(text="MKD + mixup 0.2", set={"mixup": 0.2}, beside="alone_mixup"),
    "alone_mixup": Way(text="alone + mixup 0.2", set={"kd_weight": 0.0, "mixup": 0.2}),
    "ema": Way(text="MKD + average of weights 0.99", set={"ema_decay": 0.99}, beside="alone_ema"),
    "alone_ema": Way(
        text="alone + average of weights 0.99", set={"kd_weight": 0.0, "ema_decay": 0.99}
    ),
    "alone_long": Way(text="alone, 50 epochs", set={"kd_weight": 0.0, "epochs": 50}),
    "finer": Way(
        text="MKD + 23 finer labels, weight 1", set={"finer_weight": 1.0}, beside="alone_finer"
    ),
    "alone_finer": Way(
        text="alone + 23 finer labels, weight 1", set={"kd_weight": 0.0, "finer_weight": 1.0}
    ),
    "cross_fitting": Way(text="MKD by teachers that have not seen it", teacher="cross_fitting"),
    "three_teachers": Way(text="MKD by three teachers", teacher="three"),
    "assistant": Way(text="MKD by an assistant of the lead", teacher="assistant"),
    "class_weights": Way(
        text="MKD, classes weighed by what alone sees",
        set={"kd_class_weights": "auto"},
        weighs_classes=True,
    ),
    "record": Way(text="MKD, what is said of whole recordings", knowledge="record"),
}
"""In the order in which they are trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One student of one way; picklable."""

    way: str
    lead: str
    seed: int

    @property
    def number(self) -> int:
        """What its folder is called by; ways have folders of their own."""
        leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
        return 100 * leads.index(self.lead) + self.seed

    def trial(self, kd_class_weights: Mapping[str, float]) -> Trial:
        """Return the trial: finals of one repetition share everything random."""
        chosen = replace(Hyperparameters(), **{**BASE, **WAYS[self.way].set})  # pyright: ignore[reportArgumentType]
        return Trial(
            number=self.number,
            condition=Condition.from_name(self.lead),
            arm=Arm.FINAL,
            hyperparameters={name: getattr(chosen, name) for name in Hyperparameters.names()},
            repetition=self.seed,
            contender=self.way,
            kd_class_weights=kd_class_weights,
        )


def trainings(ways: list[str], leads: list[str], n_seeds: int) -> list[Training]:
    """List all trainings, those of a seed together, so that an early look sees every way."""
    return [
        Training(way=way, lead=lead, seed=seed)
        for seed in range(n_seeds)
        for way in ways
        for lead in leads
    ]


def train(training: Training, inputs: TrialInputs, out: str) -> TrialResult:
    """Train one student, or return what an earlier call came to.

    Weights of classes are those of the lead's first student alone, which is trained for them.
    """
    way = WAYS[training.way]
    weights: Mapping[str, float] = {}
    if way.weighs_classes:
        first = Training(way=ALONE, lead=training.lead, seed=0)
        weights = class_weights(train(first, inputs, out).per_class_auroc)
    student = replace(
        inputs.student, epochs=50, knowledge=way.knowledge or inputs.student.knowledge
    )  # pyright: ignore[reportArgumentType]
    inputs = replace(
        inputs.writing_to(str(Location.parse(out) / training.way)),
        student=student,
        validated_epochs=frozenset(),
    )

    def go_on(_metrics: EpochMetrics) -> Decision:
        return Decision.CONTINUE

    with torch_threads(1):
        return run_trial(training.trial(weights), inputs, go_on)
