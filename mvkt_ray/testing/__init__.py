"""Contract suites: what every network, source, loss and task must do, as classes of tests.

An author of a plug-in subclasses one, with a name that begins with `Test` and one fixture; our own
tests use the same classes. They need pytest (the extra `testing`), and nothing else here does: what
is about one implementation only is not here but in its own tests.
"""

from mvkt_ray.testing.loss_contract import LossContract
from mvkt_ray.testing.network_contract import NetworkContract
from mvkt_ray.testing.source_contract import SourceContract
from mvkt_ray.testing.task_contract import TaskContract

__all__ = ["LossContract", "NetworkContract", "SourceContract", "TaskContract"]
