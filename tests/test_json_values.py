import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.json_values import finite, nan_if_none, without_nan

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3),
    ),
)


@settings(deadline=None)
@given(values)
def test_without_nan_any_value_is_strict_json_and_comes_back_equal(value: Any) -> None:
    plain = without_nan(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert without_nan(plain) == plain


def test_json_has_no_nan() -> None:
    value = {"a": math.nan, "b": (1.5, math.inf), 3: {"c": "text"}}
    assert without_nan(value) == {"a": None, "b": [1.5, None], "3": {"c": "text"}}


@settings(deadline=None)
@given(st.none() | st.floats())
def test_a_number_is_finite_or_none_and_none_is_read_as_nan(value: float | None) -> None:
    written = finite(value)
    assert written is None or math.isfinite(written)
    read = nan_if_none(written)
    assert math.isnan(read) if written is None else read == value
