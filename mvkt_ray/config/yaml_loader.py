"""A safe YAML loader: executes nothing, refuses duplicate keys and exponential aliases.

Ten lines of aliases of aliases can expand to more values than fit in memory ("billion laughs"). A
value counts as often as it is used, so anchors are allowed up to a total number of values.
"""

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.composer import ComposerError

MOST_VALUES = 100_000
"""Values in a file, aliases expanded; far more than a person writes."""


class UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would keep the last silently."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._sizes: dict[int, int] = {}
        """Values that a node comes to, by its identity; the document keeps all nodes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node.

        Raises:
            ComposerError: It has too many values, or contains itself.
        """
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if node is None:
            return None
        if is_alias and id(node) not in self._sizes:
            raise ComposerError(None, None, "a value is given as a part of itself", node.start_mark)
        if not is_alias:
            self._sizes[id(node)] = self._size_of(node)
        if self._sizes[id(node)] > MOST_VALUES:
            raise ComposerError(
                None, None, f"its aliases come to more than {MOST_VALUES:,} values", node.start_mark
            )
        return node

    def _size_of(self, node: yaml.Node) -> int:
        if isinstance(node, yaml.MappingNode):
            return 1 + sum(self._sizes[id(each)] for pair in node.value for each in pair)
        if isinstance(node, yaml.SequenceNode):
            return 1 + sum(self._sizes[id(each)] for each in node.value)
        return 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping.

        Raises:
            ConstructorError: A key is given twice.
        """
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[0]!r} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
