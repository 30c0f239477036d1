"""Which condition the next trial is of, and with which hyper-parameters.

Baselines come first, then the configurations that the study file enqueues, then proposals for the
running condition that has the fewest.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import Arm, Condition, Trial
from mvkt_ray.search.choosing.class_weights import weigh
from mvkt_ray.search.choosing.proposing import grid_point, propose
from mvkt_ray.search.choosing.racing import NOTE, Race
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger import Ledger


class Dealer:
    """Deals the trials of a study, in an order that its ledger alone determines."""

    def __init__(
        self,
        config: StudyConfig,
        space: SearchSpace,
        ledger: Ledger,
        race: Race,
        learnt: Sequence[FrozenTrial] = (),
    ) -> None:
        """Go on after the trials of a ledger.

        Args:
            config: The study.
            space: Its search space.
            ledger: Ledger of its trials, to which looks of the race are written.
            race: Conditions that still get trials.
            learnt: Trials of another study in the sampler's history.
        """
        self._config = config
        self._space = space
        self._ledger = ledger
        self._race = race
        self._learnt = learnt
        self._baselines = tuple(Arm(name) for name in config.search.baselines)
        self._dealt = Counter((each.trial.arm, each.condition) for each in ledger.records)

    def deal(self) -> tuple[Trial, Mapping[str, Scalar]]:
        """Return the next trial, and those of its hyper-parameters that the sampler learns from."""
        condition, arm, hyperparameters, drawn = self._choose()
        trained, weights = weigh(hyperparameters, self._ledger.records, condition)
        self._dealt[arm, condition.name] += 1
        trial = Trial(
            number=len(self._ledger.records),
            condition=condition,
            arm=arm,
            hyperparameters=trained,
            kd_class_weights=weights,
        )
        return trial, {name: trained[name] for name in drawn}

    def _choose(self) -> tuple[Condition, Arm, Mapping[str, Scalar], Mapping[str, Scalar]]:
        """Return condition, arm, all hyper-parameters, and those that are in the space."""
        conditions = self._space.conditions
        for arm in self._baselines:
            for condition in conditions:
                if not self._dealt[arm, condition.name]:
                    fixed = self._space.baseline(arm)
                    return condition, arm, fixed, self._space.part_in_space(fixed)
        n_searched = sum(self._dealt[Arm.SEARCH, each.name] for each in conditions)
        if n_searched < len(self._space.enqueued):
            first = self._space.enqueued[n_searched]
            condition, drawn = first.condition, self._propose(first.given)
        else:
            condition = self._condition_behind()
            if self._space.grid is None:
                drawn = self._propose()
            else:
                place = self._dealt[Arm.SEARCH, condition.name]
                drawn = grid_point(self._space, seed=self._config.seed, place=place)
        return condition, Arm.SEARCH, self._space.complete(drawn), drawn

    def _condition_behind(self) -> Condition:
        """Return the running condition with the fewest search trials, after a look if it is due."""
        is_race = self._config.search.conditions == "race"
        if is_race and self._race.take_look(self._ledger.records):
            self._ledger.note({NOTE: self._race.to_json()})
        return min(self._race.running, key=lambda each: self._dealt[Arm.SEARCH, each.name])

    def _propose(self, given: Mapping[str, Scalar] | None = None) -> dict[str, Scalar]:
        records = self._ledger.records
        return propose(
            self._space,
            self._config.search,
            seed=self._config.seed,
            number=len(records),
            records=records,
            given=given,
            before=self._learnt,
        )
