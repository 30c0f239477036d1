"""Contract suites: requirements on every network, source, loss and task, as classes of tests.

The author of a plug-in subclasses one, with a name that begins with `Test` and one fixture; our own
tests use the same classes. They need pytest (the extra `testing`). Tests of a single implementation
are in its own test module, not here.
"""

from mvkt_ray.testing.loss_contract import LossContract
from mvkt_ray.testing.network_contract import NetworkContract
from mvkt_ray.testing.source_contract import SourceContract
from mvkt_ray.testing.task_contract import TaskContract

__all__ = ["LossContract", "NetworkContract", "SourceContract", "TaskContract"]
