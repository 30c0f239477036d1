"""The folder of the templates, and rendering them.

Reads: `cluster/` at the top of a checkout, or inside an installed package.
"""

import json
import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mvkt_ray.config.ports import CLIENT_PORT, DASHBOARD_PORT, HEAD_PORT
from mvkt_ray.file_guards import find_installed


def templates_folder() -> Path:
    """Return the folder of the templates.

    Raises:
        ArtifactError: There is no such folder.
    """
    return find_installed("cluster/instances.csv").parent


def fill(template: str, values: dict[str, Any]) -> str:
    """Return a rendered template; a name that `values` lacks is a defect, and raises."""
    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # These are YAML and shell, not HTML: `quoted` is what makes a value safe in them.
        autoescape=False,
    )
    environment.globals["ports"] = {
        "head": HEAD_PORT,
        "dashboard": DASHBOARD_PORT,
        "client": CLIENT_PORT,
    }
    environment.filters["quoted"] = _quoted
    environment.filters["shell"] = shlex.quote
    return environment.get_template(template).render(values)


def _quoted(value: Any) -> str:
    """Return a value as JSON, which is valid YAML, so that a text cannot become a key."""
    return json.dumps(value, ensure_ascii=False)
