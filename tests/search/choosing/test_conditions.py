import pytest

from mvkt_ray.data.recording import LEADS
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.choosing.conditions import read_conditions, read_contender_leads


def names(leads: list[str], dataset: tuple[str, ...] = LEADS) -> list[str]:
    return [condition.name for condition in read_conditions(leads, dataset)]


def test_no_leads_named_means_every_lead_of_the_dataset() -> None:
    assert names([], ("I", "II", "V5")) == ["I", "II", "V5"]


def test_leads_are_matched_in_any_case_and_sets_are_put_in_order() -> None:
    assert names(["ii", "AVR", "v5+i"]) == ["II", "aVR", "I+V5"]


def test_an_unknown_lead_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'V7' in 'II\+V7'.*not one of the twelve.*V5, V6\)"):
        names(["II+V7"])


def test_a_lead_that_the_dataset_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigError, match=r"lead V5, .* lacks\. It has I, II"):
        names(["II+V5"], ("I", "II"))


def test_the_same_condition_twice_is_refused_however_it_is_written() -> None:
    with pytest.raises(ConfigError, match=r"'V5\+I' and 'I\+V5' are the same condition"):
        names(["I+V5", "V5+I"])


def test_a_lead_twice_in_a_set_is_refused() -> None:
    with pytest.raises(ConfigError, match="names II more than once"):
        names(["II+ii"])


def test_a_contender_is_trained_for_conditions_of_the_study_only() -> None:
    conditions = read_conditions(["I", "II", "I+V5"], LEADS)
    where = "finals.contenders.mine.leads"
    assert read_contender_leads([], conditions, LEADS, where) == conditions
    assert [c.name for c in read_contender_leads(["v5+i"], conditions, LEADS, where)] == ["I+V5"]
    with pytest.raises(
        ConfigError, match=r"contenders\.mine\.leads names V2, which .* I, II, I\+V5"
    ):
        read_contender_leads(["I", "V2"], conditions, LEADS, where)
    with pytest.raises(ConfigError, match=r"contenders\.mine\.leads: 'V9'"):
        read_contender_leads(["V9"], conditions, LEADS, where)
