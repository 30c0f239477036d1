"""Finals in memory, of 80 recordings of 70 patients: contenders of a known skill."""

from collections.abc import Mapping

import numpy as np

from mvkt_ray.records import Condition
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.finals_results import Examined, FinalsResults

CLASSES = ("CD", "HYP", "MI")


def make_up_finals(
    skill: Mapping[tuple[str, str], float],
    *,
    seeds: Mapping[tuple[str, str], tuple[int, ...]] | None = None,
    teacher: float = 2.0,
    seed_noise: float = 0.3,
    rarest: int | None = None,
    seed: int = 0,
) -> FinalsResults:
    """Make contenders of a skill each, by name and lead; by default of three seeds.

    Args:
        skill: how far a contender tells a class.
        seeds: those that a contender has, where they are not 0, 1 and 2.
        teacher: its skill.
        seed_noise: how far seeds differ.
        rarest: recordings with the first class.
        seed: of everything.
    """
    has = {key: (seeds or {}).get(key, (0, 1, 2)) for key in skill}
    plan = tuple(
        Contender(
            name=name,
            condition=Condition.from_name(lead),
            hyperparameters={},
            n_seeds=3,
            chosen_trial=None,
        )
        for name, lead in skill
    )

    def examined(stream: int) -> Examined:
        rng = np.random.default_rng([seed, stream])
        labels = (rng.random((80, len(CLASSES))) < 0.35).astype(np.float32)
        if rarest is not None and stream == 0:
            labels[:, 0] = np.arange(80) < rarest
        hard = rng.normal(size=labels.shape)

        def said(strength: float) -> np.ndarray:
            noise = hard + seed_noise * rng.normal(size=labels.shape)
            logits = strength * (2 * labels - 1) + noise
            return (1 / (1 + np.exp(-logits))).astype(np.float32)

        scores = {
            key: np.stack([said(strength) for _ in has[key]])
            for key, strength in skill.items()
            if has[key]
        }
        return Examined(
            record_ids_N=np.arange(80).astype(str),
            patient_ids_N=(np.arange(80) % 70).astype(str),
            labels_NC=labels,
            scores=scores,
            seeds={key: has[key] for key in scores},
            teacher_NC=said(teacher),
        )

    return FinalsResults(
        number=1,
        plan=plan,
        records=(),
        openings=(),
        classes=CLASSES,
        answer="chosen",
        refit=False,
        test=examined(0),
        validation=examined(1),
    )
