import json
from typing import Any

from mvkt_ray.config.study_schema import study_schema


def test_the_schema_is_printed_as_it_may_be_written_to_a_file(mvkt: Any) -> None:
    done = mvkt("schema")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == study_schema()
