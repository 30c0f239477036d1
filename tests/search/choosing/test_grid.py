"""All points of a space: each once, dependent parameters only where they are drawn, counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.choosing.grid import FEW, few_values, grid_values, n_points_text
from mvkt_ray.search.choosing.parameters import contains
from mvkt_ray.search.choosing.proposing import grid_point
from mvkt_ray.search.choosing.space import SearchSpace, n_trials

DEPENDENT = {
    "clt_loss": ParameterConfig(choices=("crd", "infonce")),
    "n_negatives": ParameterConfig(low=8, high=32, step=8, when={"clt_loss": ("crd",)}),
    "clt_temperature": ParameterConfig(choices=(0.1, 0.2, 0.3), when={"clt_loss": ("infonce",)}),
    "dropout": ParameterConfig(low=0.0, high=0.2, step=0.1),
}


def study_of(space: dict[str, ParameterConfig], **search: object) -> StudyConfig:
    fields = {"sampler": "grid", "n_trials": 1000, "leads": ("II", "V1"), **search}
    return StudyConfig(name="grid", seed=3, space=space, search=SearchConfig(**fields))  # pyright: ignore[reportArgumentType]


def space_of(space: dict[str, ParameterConfig], **search: object) -> SearchSpace:
    return SearchSpace.from_config(study_of(space, **search), LEADS, 5)


def test_dependent_parameters_multiply_the_points_only_where_they_are_drawn() -> None:
    space = space_of(DEPENDENT)
    assert space.grid is not None
    # Three dropouts, with four numbers of negatives under CRD and three temperatures otherwise.
    assert len(space.grid) == 3 * (4 + 3)
    assert len({tuple(sorted(point.items())) for point in space.grid}) == len(space.grid)
    for point in space.grid:
        assert ("n_negatives" in point) == (point["clt_loss"] == "crd")
        assert ("clt_temperature" in point) == (point["clt_loss"] == "infonce")
        for name, value in point.items():
            assert contains(space.distributions[name], value)


steps = st.integers(1, 4)
ROWS = st.fixed_dictionaries(
    {
        "dropout": st.builds(
            lambda n: ParameterConfig(low=0.0, high=round(0.1 * n, 1), step=0.1), st.integers(1, 5)
        ),
        "batch_size": st.builds(
            lambda n, step: ParameterConfig(low=8, high=8 + n * step, step=step), steps, steps
        ),
        "negatives": st.just(ParameterConfig(choices=("disjoint", "any"))),
        "n_negatives": st.builds(
            lambda n, values: ParameterConfig(low=4, high=4 + n, when={"negatives": values}),
            steps,
            st.sampled_from([("any",), ("disjoint",), ("any", "disjoint")]),
        ),
    }
)


@given(rows=ROWS)
def test_points_are_as_many_as_were_counted_and_each_is_there_once(
    rows: dict[str, ParameterConfig],
) -> None:
    space = space_of(rows)
    assert space.grid is not None
    n_values = {name: len(grid_values(name, each)) for name, each in space.distributions.items()}
    n_any = n_values["n_negatives"] if "any" in rows["n_negatives"].when["negatives"] else 1
    n_other = n_values["n_negatives"] if "disjoint" in rows["n_negatives"].when["negatives"] else 1
    expected = n_values["dropout"] * n_values["batch_size"] * (n_any + n_other)
    assert len({tuple(sorted(point.items())) for point in space.grid}) == expected
    # As many trials as there are points, and not one less.
    needed = 2 * expected + 4
    assert n_trials(study_of(rows, n_trials=needed), space_of(rows, n_trials=needed)) == needed
    with pytest.raises(ConfigError, match=f"are {needed:,} trials"):
        space_of(rows, n_trials=needed - 1)


def test_every_condition_has_every_point_once_in_one_shuffled_order() -> None:
    space = space_of(DEPENDENT)
    assert space.grid is not None
    places = range(len(space.grid))
    order = [grid_point(space, seed=3, place=place) for place in places]
    assert sorted(map(repr, order)) == sorted(map(repr, space.grid))
    assert order != list(space.grid)
    assert order != [grid_point(space, seed=4, place=place) for place in places]


def test_a_study_that_asks_for_more_trials_than_there_are_points_comes_to_an_end() -> None:
    config = study_of(DEPENDENT)
    assert n_trials(config, SearchSpace.from_config(config, LEADS)) == 2 * 21 + 4


def test_a_space_without_anything_to_draw_has_one_point() -> None:
    assert space_of({"kd_weight": ParameterConfig(value=2.0)}).grid == ({},)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ParameterConfig(low=0.1, high=0.9), "space.dropout is drawn from the range 0.1 to 0.9"),
        (ParameterConfig(low=0.1, high=0.9, log=True), "Add `step`, or list the values"),
    ],
)
def test_a_range_without_steps_is_refused_with_what_to_do(row: ParameterConfig, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        space_of({"dropout": row})


def test_a_grid_that_nobody_could_list_is_refused_at_once_with_its_size() -> None:
    names = ("n_negatives", "projection_dim", "batch_size", "warmup_epochs")
    rows = {name: ParameterConfig(low=1, high=10_000) for name in names}
    with pytest.raises(ConfigError, match=r"the grid has about 1e\+16 points for each of 2"):
        space_of(rows)


def test_steps_of_decimal_fractions_are_decimal_fractions() -> None:
    values = grid_values("dropout", FloatDistribution(0.1, 0.7, step=0.2))
    assert values == (0.1, 0.3, 0.5, 0.7)


def test_few_values_stand_for_a_range_with_both_ends_and_those_that_others_depend_on() -> None:
    values = few_values(IntDistribution(4, 512), [77])
    assert {4, 512, 77} <= set(values)
    assert len(values) <= FEW + 1
    assert list(values) == sorted(values)
    assert few_values(IntDistribution(1, FEW), []) == tuple(range(1, FEW + 1))
    choices = tuple(range(40))
    assert few_values(CategoricalDistribution(choices), []) == choices


@pytest.mark.parametrize(
    ("n_points", "text"),
    [(1, "1 point"), (1234, "1,234 points"), (3 * 10**14, "about 3e+14 points")],
)
def test_numbers_of_points_are_written_for_people(n_points: int, text: str) -> None:
    assert n_points_text(n_points) == text
