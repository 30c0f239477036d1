"""Options of sources, from YAML and from the command line."""

from typing import get_args

import pytest

from mvkt_ray.config.data_config import OwnSource
from mvkt_ray.data.sources import SOURCE_HAS, SOURCES, Source, open_source
from mvkt_ray.data.sources.cinc2021 import Cinc2021
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.errors import ConfigError


def test_text_becomes_the_type_of_the_option() -> None:
    text = {"n_recordings": "12", "duration_s": "2.5", "equal_leads": "true", "n_patients": ""}
    typed = {"n_recordings": 12.0, "duration_s": 2.5, "equal_leads": True, "n_patients": None}
    wanted = Synthetic(n_recordings=12, duration_s=2.5, equal_leads=True)
    assert open_source("synthetic", "", text) == wanted
    assert open_source("synthetic", "", typed) == wanted
    chosen = Cinc2021(location="x", only=("ptb", "georgia"))
    assert open_source("cinc2021", "x", {"only": "ptb, georgia"}) == chosen
    assert open_source("cinc2021", "x", {"only": ["ptb", "georgia"]}) == chosen


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("synthetic", {"n_recordigns": 5}, "no option 'n_recordigns'.*did you mean 'n_recordings'"),
        ("cpsc2018", {"x": 1}, "no option 'x'.*there are none"),
        ("synthetic", {"n_recordings": "many"}, "'n_recordings'.*'many'.*a whole number"),
        ("synthetic", {"n_recordings": 2.5}, "a whole number"),
        ("synthetic", {"n_recordings": True}, "a whole number"),
        ("synthetic", {"n_recordings": float("inf")}, "a whole number"),
        ("synthetic", {"equal_leads": "maybe"}, "true or false"),
        ("cinc2021", {"only": 3}, "a list of names"),
        ("wfdb", {"labels": 3}, "'labels'.*text"),
        ("wfdb", {"location": "y"}, "no option 'location'"),
    ],
)
def test_a_mistake_names_option_value_and_what_would_be_right(
    source: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        open_source(source, "x", options)


def test_an_unknown_source_names_the_nearest_or_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"'ptb_xl'; did you mean 'ptbxl'"):
        open_source("ptb_xl", "x", {})
    with pytest.raises(ConfigError, match=r"'mimic'; there is: ptbxl, cpsc2018, cinc2021, wfdb"):
        open_source("mimic", "x", {})
    assert set(SOURCES) == {
        *("ptbxl", "cpsc2018", "cinc2021", "wfdb", "synthetic"),
        *("dicom", "edf", "aecg", "muse", "table", "parquet"),
    }


def test_a_study_file_knows_our_sources_without_importing_them() -> None:
    assert set(get_args(OwnSource)) == set(SOURCES)


def test_of_a_plugin_everything_is_expected_that_a_source_has() -> None:
    offered = {*vars(Source), *Source.__annotations__}
    assert {"name", *SOURCE_HAS} == {name for name in offered if not name.startswith("_")}
