"""`mvkt demo`: the whole path on recordings that are made up on the spot."""

from typing import Annotated

from mvkt_ray.cli.options import Address, InProcess, Resume, VerbOutput, location_option
from mvkt_ray.file_guards import find_installed
from mvkt_ray.interface.arguments import passed_on

QUICKSTART = "search_spaces/quickstart.yaml"


def demo_verb(
    output: VerbOutput,
    out: Annotated[str, location_option("DIR", "Folder of the demo's study.")] = "mvkt-demo",
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
) -> None:
    """Run a small study over all twelve leads on synthetic ECGs; takes a few minutes.

    Runs search_spaces/quickstart.yaml. Results on synthetic data do not hold for real ECGs.
    """
    given = passed_on(locals(), "output")
    from mvkt_ray.cli.searching import answer_search
    from mvkt_ray.interface.search_run import search_call

    answer_search(output, search_call(find_installed(QUICKSTART), **given))
