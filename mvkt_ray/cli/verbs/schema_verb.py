"""`mvkt schema`: what may stand in a study file, for editors."""

import json

from mvkt_ray.display.console import Output


def schema_verb() -> None:
    """Print the JSON schema of study files, by which editors complete and check them.

    The files in search_spaces/ name it in their first line, which editors read. For files
    elsewhere write it beside them: mvkt schema > study_schema.json
    """
    from mvkt_ray.config.study_schema import study_schema

    Output.open().answer_line(json.dumps(study_schema(), indent=1))
