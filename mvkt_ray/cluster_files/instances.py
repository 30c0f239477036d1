"""Machines that clouds rent out: their size, their GPUs, and about what they cost.

Reads: `cluster/instances.csv`, or a file of the same columns.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.errors import ConfigError
from mvkt_ray.slots import Node

COLUMNS = ("cloud", "instance", "cpus", "memory_gib", "gpus", "accelerator_type", "usd_per_hour")


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceType:
    """A machine; where there is no cloud, a pod or a node that the user describes."""

    name: str
    node: Node
    """What it offers as a node, of no group yet."""
    price_per_hour: float | None = None


def read_instances(path: Path, cloud: str) -> dict[str, InstanceType]:
    """Read the machines of one cloud, by name.

    Raises:
        ConfigError: The file cannot be read, or a row of it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: the table of machines cannot be read ({error}). Give a CSV file with the "
            f"columns {', '.join(COLUMNS)}."
        ) from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ConfigError(
            f"{path}: the columns must be {', '.join(COLUMNS)}, got "
            f"{', '.join(reader.fieldnames or ('none',))}."
        )
    return {row["instance"]: _instance(path, row) for row in reader if row["cloud"] == cloud}


def _instance(path: Path, row: dict[str, str]) -> InstanceType:
    try:
        return InstanceType(
            name=row["instance"],
            node=Node(
                cpus=float(row["cpus"]),
                memory_gib=float(row["memory_gib"]),
                gpus=float(row["gpus"]),
                accelerator_type=row["accelerator_type"] or None,
            ),
            price_per_hour=float(row["usd_per_hour"]) if row["usd_per_hour"] else None,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{path}: the row of {row['instance']!r} is wrong ({error}): cpus, memory_gib, gpus "
            "and usd_per_hour are numbers."
        ) from None
