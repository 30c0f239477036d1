"""Every error of the tree survives the way to another process with its text."""

import inspect
import pickle

import pytest

from mvkt_ray import errors
from mvkt_ray.errors import (
    ConfigError,
    MvktError,
    PreemptedError,
    RecordingError,
    StoreUnreachableError,
    WorkerLostError,
)

ALL_ERRORS = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, MvktError)
]

TEXT = "kd.yaml: `temperature.low` is 0.0, must be > 0; softened probabilities divide by it."


def test_the_tree_in_the_docstring_names_every_error() -> None:
    assert len(ALL_ERRORS) > 5
    for error in ALL_ERRORS:
        assert error.__name__ in str(errors.__doc__)


@pytest.mark.parametrize("error", ALL_ERRORS)
def test_an_error_is_the_same_after_pickling(error: type[MvktError]) -> None:
    original = error(TEXT)
    copy = pickle.loads(pickle.dumps(original))
    assert type(copy) is error
    assert str(copy) == str(original) == TEXT
    assert copy.retriable == original.retriable


@pytest.mark.parametrize("error", ALL_ERRORS)
def test_an_error_is_an_mvkt_error_and_says_what_it_is_for(error: type[MvktError]) -> None:
    assert issubclass(error, MvktError)
    assert error.__doc__
    assert error.__mro__[1] is not Exception or error is MvktError


def test_the_reason_of_a_recording_error_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(RecordingError(TEXT, "flat_lead")))
    assert copy.reason == "flat_lead"


def test_only_what_may_pass_by_itself_is_worth_another_attempt() -> None:
    retriable = {error for error in ALL_ERRORS if error.retriable}
    assert retriable == {WorkerLostError, PreemptedError, StoreUnreachableError}


def test_a_wrong_option_can_be_caught_as_a_value_error() -> None:
    assert issubclass(ConfigError, ValueError)
