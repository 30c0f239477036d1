"""`mvkt plugins`: which plug-ins are installed, from which packages, and whether they work."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from mvkt_ray.cli.failures import EXIT_WRONG_INPUT
from mvkt_ray.cli.options import VerbOutput
from mvkt_ray.display.console import grid
from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.plugins.entry_points import Kind, Plugin


def plugins_verb(
    output: VerbOutput,
    check: Annotated[
        bool, typer.Option("--check", help="Import each plug-in, and report what is wrong with it.")
    ] = False,
) -> None:
    """List the networks, sources, losses and tasks that installed packages offer.

    Without --check none is imported; with it the exit code is 2 if one cannot be used.
    """
    from mvkt_ray.plugins.entry_points import GROUPS, installed_plugins

    own = _own_names()
    rows = [
        _row(plugin, installed_plugins(kind), own[kind], check=check)
        for kind in GROUPS
        for plugin in installed_plugins(kind)
    ]
    output.answer({"plugins": rows, "checked": check}, _shown(rows))
    if any(row["problem"] for row in rows):
        raise typer.Exit(EXIT_WRONG_INPUT)


def _own_names() -> "Mapping[Kind, Collection[str]]":
    from mvkt_ray.config.recipes import NO_PLUGIN
    from mvkt_ray.data.sources import SOURCES
    from mvkt_ray.models.network_table import NETWORKS

    # Tasks are the sources': which there are depends on the data.
    return {"network": NETWORKS, "source": SOURCES, "loss": (NO_PLUGIN,), "task": ()}


def _row(
    plugin: "Plugin", others: "Collection[Plugin]", own: Collection[str], *, check: bool
) -> dict[str, Any]:
    from mvkt_ray.plugins.entry_points import clash

    alike = [other for other in others if other.name == plugin.name]
    problem = clash(plugin.name, alike, own)
    if problem is None and check:
        problem = _problem(plugin)
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "package": plugin.package,
        "version": plugin.version,
        "object": plugin.value,
        "problem": problem,
    }


def _problem(plugin: "Plugin") -> str | None:
    """Import a plug-in as a study would that names it; return what is wrong with it."""
    from mvkt_ray.data.sources import source_class
    from mvkt_ray.data.tasks import plugin_task
    from mvkt_ray.distill.plugged_loss import plugged_loss
    from mvkt_ray.models.plugged_network import row_of_plugin

    try:
        match plugin.kind:
            case "network":
                row_of_plugin(plugin)
            case "source":
                source_class(plugin.name)
            case "loss":
                plugged_loss(plugin.name)
            case "task":
                plugin_task(plugin.name, ())
    except ConfigError as error:
        return str(error)
    return None


def _shown(rows: list[dict[str, Any]]) -> list[Any]:
    if not rows:
        return ["No installed package offers a plug-in."]
    table = grid(["kind", "name", "package", "object"])
    for row in rows:
        name = Text(row["name"], "red" if row["problem"] else "bold")
        table.add_row(row["kind"], name, f"{row['package']} {row['version']}", row["object"])
    problems = [Text(f"{row['kind']} {row['name']}: {row['problem']}") for row in rows]
    return [table, *(text for row, text in zip(rows, problems, strict=True) if row["problem"])]
