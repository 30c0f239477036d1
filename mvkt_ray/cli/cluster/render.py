"""`mvkt cluster render`: write the file of a cluster that gives what a study needs."""

import shlex
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.options import JsonOutput, parse_pairs
from mvkt_ray.display.console import Output, grid
from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.file_guards import writing


def render_verb(
    output: JsonOutput,
    platform: Annotated[
        str,
        typer.Argument(
            metavar="PLATFORM",
            help="aws, gcp, azure, on-premise, kuberay-job, kuberay-cluster, slurm.",
        ),
    ],
    study: Annotated[
        Path | None, typer.Option(metavar="STUDY.yaml", help="Study that the cluster is to run.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Setting of the platform (see --keys); repeatable."
        ),
    ] = None,
    instances: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Table of machines, instead of cluster/instances.csv."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="New file to write; by default stdout."),
    ] = None,
    list_keys: Annotated[
        bool, typer.Option("--keys", help="List the platform's keys, and exit.")
    ] = False,
) -> None:
    """Write the cluster file for a study: machine types, numbers of nodes, and their resources.

    Example: mvkt cluster render kuberay-job --study S.yaml --set image=IMAGE --set out=s3://B/runs
    """
    from mvkt_ray.cluster_files.rendering import RenderRequest, render
    from mvkt_ray.config.study_file import read_study

    if list_keys:
        _list_keys(output, platform)
        return
    if study is None:
        raise ConfigError("--study is missing: give the study file that the cluster is to run.")
    with _writing(out):
        if out is not None and out.exists():
            raise ArtifactError(f"--out {out} exists. Remove it first, or give another name.")
    request = RenderRequest(
        platform=platform,
        study_file=study,
        given=parse_pairs("--set", settings or ()),
        instances=instances,
    )
    text = render(read_study(study), request)
    if out is None and output.is_json:
        output.answer({"platform": platform, "file": None, "content": text}, [])
        return
    if out is None:
        typer.echo(text, nl=False)
        return
    from mvkt_ray.storage.location import Location

    with _writing(out):
        Location.parse(out).write_bytes(text.encode())
    check = shlex.join(["mvkt", "cluster", "check", str(out), "--study", str(study)])
    output.say(f"wrote {out}; check it with: {check}")
    output.answer({"platform": platform, "file": str(out), "check": check}, [])


def _writing(out: Path | None) -> AbstractContextManager[None]:
    return writing(f"--out {out}", "Give a new file in a folder that you may write to.")


def _list_keys(output: Output, platform: str) -> None:
    from mvkt_ray.cluster_files.platforms import find_platform

    found = find_platform(platform)
    table = grid(["key", "default", "meaning"])
    for setting in found.settings:
        default = "must be given" if setting.default is None else setting.default
        table.add_row(setting.name, default, setting.help)
    keys = [
        {"key": each.name, "default": each.default, "meaning": each.help} for each in found.settings
    ]
    output.answer({"platform": platform, "what": found.what, "keys": keys}, [found.what, table])
