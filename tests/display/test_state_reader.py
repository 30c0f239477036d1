from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mvkt_ray.config.resources import CostConfig
from mvkt_ray.display.state_reader import StateReader, state_of
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import PriceList, Spent

LEADS = ("I", "II")
ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED)


@dataclass
class Followed:
    """A study whose trials begin, report and end one after the other."""

    records: list[TrialRecord] = field(default_factory=list)
    n_trials: int = 40
    prices: PriceList = field(default_factory=lambda: PriceList(CostConfig()))
    spent: Spent = field(default_factory=Spent)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(Condition(leads=(lead,)) for lead in LEADS)

    def trials(self) -> Sequence[TrialRecord]:
        return tuple(self.records)

    def begin(self) -> None:
        number = len(self.records)
        arm = Arm.STUDENT_ALONE if number < len(LEADS) else Arm.SEARCH
        trial = Trial(
            number=number, condition=self.conditions[number % 2], arm=arm, hyperparameters={}
        )
        self.records.append(TrialRecord(trial=trial, drawn={}, state=TrialState.RUNNING))

    def report(self, number: int, epoch: int) -> None:
        record = self.records[number]
        self.records[number] = replace(record, values={**record.values, epoch: 0.7})

    def end(self, number: int, state: TrialState) -> None:
        score = 0.7 + 0.01 * ((number * 7) % 11)
        result = TrialResult(number=number, state=state, macro_auroc=score, epochs=3, wall_s=2.0)
        self.records[number] = replace(self.records[number], state=state, result=result)


class CountingPrices(PriceList):
    """Counts how often a trial is priced: once for each that is looked at anew."""

    n_asked = 0

    def spent(self, reservations: object) -> Spent:
        self.n_asked += 1
        return Spent()


def test_what_is_read_on_the_way_is_what_one_reading_finds() -> None:
    study = Followed()
    reader = StateReader(study, 3)
    for number in range(12):
        study.begin()
        study.report(number, 1)
        # Trials end in another order than they began in.
        for ended in (number - 1, number - 4) if number % 5 == 4 else ():
            study.end(ended, ENDS[ended % 4])
        assert reader.read() == state_of(study, 3)
    numbers = [line.number for line in reader.read().finished]
    assert numbers == sorted(numbers)
    assert len(numbers) == 4


def test_a_trial_that_has_ended_is_not_looked_at_again() -> None:
    prices = CountingPrices(CostConfig())
    study = Followed(prices=prices)
    reader = StateReader(study, 3)
    for number in range(30):
        study.begin()
        study.end(number, TrialState.COMPLETE)
        reader.read()
        reader.read()
    assert prices.n_asked == 30
