"""`mvkt demo`: the whole path on recordings that are made up on the spot."""

from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.options import Address, InProcess, Resume, VerbOutput, not_empty
from mvkt_ray.errors import ArtifactError
from mvkt_ray.interface.arguments import passed_on

QUICKSTART = "quickstart.yaml"


def demo_verb(
    output: VerbOutput,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of the demo's study.", callback=not_empty)
    ] = "mvkt-demo",
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
) -> None:
    """Run a small study over all twelve leads on synthetic ECGs; takes a few minutes.

    It is search_spaces/quickstart.yaml. No result on synthetic data says anything about ECGs.
    """
    given = passed_on(locals(), "output")
    from mvkt_ray.cli.searching import answer_search
    from mvkt_ray.interface.search_run import search_call

    answer_search(output, search_call(find_quickstart(), **given))


def find_quickstart() -> Path:
    """Find the demo's study: inside an installed package, or at the top of a checkout.

    Raises:
        ArtifactError: It is in neither.
    """
    package = Path(__file__).parents[2]
    candidates = [root / "search_spaces" / QUICKSTART for root in (package, package.parent)]
    for path in candidates:
        if path.exists():
            return path
    raise ArtifactError(
        f"{QUICKSTART} is neither in {candidates[0].parent} nor in {candidates[1].parent}: the "
        "installation is not complete. Install mvkt-ray again."
    )
