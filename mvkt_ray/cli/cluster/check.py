"""`mvkt cluster check`: would this file make a cluster, and does the study fit it?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvkt_ray.cli.options import JsonOutput
from mvkt_ray.display.console import grid

if TYPE_CHECKING:
    from rich.table import Table

    from mvkt_ray.cluster_files.needs import Need
    from mvkt_ray.cluster_files.node_groups import NodeGroup


def check_verb(
    output: JsonOutput,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Ray's cluster launcher, KubeRay's manifest, or a batch script."
        ),
    ],
    study: Annotated[
        Path | None, typer.Option(metavar="STUDY.yaml", help="Compare with what this study needs.")
    ] = None,
) -> None:
    """Check a cluster file by Ray's own rules and for secrets, and compare it with a study.

    Starts nothing and contacts no cloud. Exits with 2 when the study does not fit.
    """
    from mvkt_ray.cluster_files.cluster_fit import check_fit
    from mvkt_ray.cluster_files.needs import least_needs
    from mvkt_ray.cluster_files.read_back import read_cluster_file
    from mvkt_ray.config.study_file import read_study
    from mvkt_ray.on_ray.launcher_check import validate_launcher_file

    config = None if study is None else read_study(study)
    found = read_cluster_file(file, validate_launcher_file)
    needs: Sequence[Need] = ()
    if config is not None:
        check_fit(config.resources, found.groups, str(file))
        needs = least_needs(config.resources)
    verdict = f"{file}: {found.kind}, valid"
    if config is not None:
        verdict += f"; {config.name} fits"
    value = {"kind": found.kind, "node_groups": [_as_value(g, needs) for g in found.groups]}
    output.answer(value, [verdict, _table(found.groups, needs)])


def _as_value(group: "NodeGroup", needs: Sequence["Need"]) -> dict[str, Any]:
    return {
        "name": group.name,
        "instance": group.instance,
        "min_nodes": group.min_nodes,
        "max_nodes": group.max_nodes,
        "cpus": group.node.cpus,
        "gpus": group.node.gpus,
        "accelerator_type": group.node.accelerator_type,
        "memory_gib": group.node.memory_gib,
        "price_per_hour": group.price_per_hour,
        "slots_per_node": {n.name: group.node.slots(n.workers, n.labels) for n in needs},
    }


def _table(groups: Sequence["NodeGroup"], needs: Sequence["Need"]) -> "Table":
    sizes = ["nodes", "CPUs", "GPUs", "GiB"]
    fits = [f"{need.name} per node" for need in needs]
    table = grid(["group", "machine", *sizes, "GPU type", *fits], right=[*sizes, *fits])
    for group in groups:
        nodes = {group.min_nodes, group.max_nodes}
        table.add_row(
            group.name,
            group.instance or "-",
            "-".join(str(n) for n in sorted(nodes)),
            f"{group.node.cpus:g}",
            f"{group.node.gpus:g}",
            "-" if group.node.memory_gib is None else f"{group.node.memory_gib:g}",
            group.node.accelerator_type or "-",
            *(str(group.node.slots(need.workers, need.labels)) for need in needs),
        )
    return table
