"""The loss of a plug-in: found by its name, imported, and checked to return a scalar."""

from torch import Tensor

from mvkt_ray.config.recipes import NO_PLUGIN
from mvkt_ray.distill.both_say import BothSay, Loss
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.plugins.entry_points import Plugin, find_plugin, plugin_names
from mvkt_ray.plugins.loading import load, unfit


def loss_plugin(name: str) -> Plugin | None:
    """Return the plug-in that offers a loss; None if no package offers it.

    Raises:
        ConfigError: Several packages offer the loss.
    """
    return find_plugin("loss", name, (NO_PLUGIN,))


def plugged_loss(name: str) -> Loss:
    """Import the loss of a plug-in by its name; each value that it returns is checked.

    Raises:
        ConfigError: No package offers the loss, or several do, or it cannot be used.
    """
    plugin = loss_plugin(name)
    if plugin is None:
        names = plugin_names("loss")
        none_installed = "" if names else "no installed package offers a loss."
        hint = did_you_mean(name, names, otherwise=none_installed)
        raise ConfigError(
            f"plugin_loss: there is no loss {name!r}; {hint} Correct the name, or install the "
            "package of this loss: `mvkt plugins` lists the installed ones."
        )
    loss = load(plugin)
    if not callable(loss):
        raise unfit(
            plugin, f"is {loss!r}", "must be a function of the outputs of student and teacher"
        )

    def checked(outputs: BothSay) -> Tensor:
        return _scalar(plugin, loss(outputs))

    return checked


def _scalar(plugin: Plugin, value: object) -> Tensor:
    if isinstance(value, Tensor) and value.shape == () and value.is_floating_point():
        return value
    what = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else repr(value)
    raise unfit(plugin, f"returns {what}", "must return one number, a tensor without dimensions")
