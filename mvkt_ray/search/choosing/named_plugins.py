"""Finds, imports and tries the plug-ins that a study names, before anything starts.

Sources are excluded: a source makes shards, whose manifest records its version, and is not needed
once they exist.
"""

from collections.abc import Collection, Iterator

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.sources import source_plugin
from mvkt_ray.data.tasks import plugin_task
from mvkt_ray.distill.plugged_loss import loss_plugin, plugged_loss
from mvkt_ray.models.network_table import NETWORKS
from mvkt_ray.models.plugged_network import try_plugin
from mvkt_ray.plugins.entry_points import Plugin, find_plugin
from mvkt_ray.plugins.packages import packages_of


def packages_of_study(config: StudyConfig, tasks: Collection[str]) -> dict[str, str]:
    """Return the packages, with versions, that the networks, losses and tasks of a study are from.

    Each is imported, and each network is tried on the shape of a window: a study whose plug-ins
    cannot work does not start.

    Args:
        config: The study.
        tasks: Names of the tasks that the data have themselves.

    Raises:
        ConfigError: A plug-in cannot be used, or several packages offer its name.
    """
    defaults = Hyperparameters()
    sizes = {"width": defaults.student_width, "depth": defaults.student_depth}
    named: list[Plugin] = []
    for plugin in _networks(config):
        try_plugin(plugin, 1, config.crop_samples, sizes)
        named.append(plugin)
    for name in sorted(config.plugin_losses):
        plugged_loss(name)
        named.extend(_there(loss_plugin(name)))
    for name in {config.data.task, config.data.finer_task} - {None}:
        if plugin_task(str(name), tasks) is not None:
            named.extend(_there(find_plugin("task", str(name), tasks)))
    return packages_of(named)


def packages_of_source(name: str) -> dict[str, str]:
    """Return the package of a source, with its version; empty where the source is ours."""
    return packages_of(_there(source_plugin(name)))


def _networks(config: StudyConfig) -> Iterator[Plugin]:
    assistant = config.teacher.of_assistant()
    others = [] if assistant is None else [assistant.network]
    for name in sorted({*config.students, config.teacher.network, *others}):
        yield from _there(find_plugin("network", name, NETWORKS))


def _there(plugin: Plugin | None) -> tuple[Plugin, ...]:
    return () if plugin is None else (plugin,)
