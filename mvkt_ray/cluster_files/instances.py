"""Rentable machines of clouds: resources, GPUs and approximate prices.

Reads: `cluster/instances.csv`, or a file of the same columns.
"""

from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.errors import ConfigError, DataError
from mvkt_ray.file_guards import reading
from mvkt_ray.slots import Node
from mvkt_ray.storage.csv_table import open_table
from mvkt_ray.storage.location import Location

COLUMNS = ("cloud", "instance", "cpus", "memory_gib", "gpus", "accelerator_type", "usd_per_hour")


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceType:
    """A machine of a cloud; without a cloud, a pod or a node that the user describes."""

    name: str
    node: Node
    """Its resources as a node, without a group."""
    price_per_hour: float | None = None


def read_instances(path: Path, cloud: str) -> dict[str, InstanceType]:
    """Return the machines of one cloud, by name.

    Raises:
        ConfigError: The file cannot be read, or a row of it is wrong.
    """
    found: dict[str, InstanceType] = {}
    columns = ", ".join(COLUMNS)
    try:
        with reading(f"{path}, the table of machines,", f"Give a CSV file with {columns}."):
            table = open_table(Location.parse(path), COLUMNS, "the table of machines", comment="#")
            for row in table.rows:
                name = row.cells["instance"]
                if row.cells["cloud"] != cloud:
                    continue
                if name in found:
                    raise ConfigError(
                        f"{table.where(row)}: the machine {name!r} of {cloud} is in an earlier "
                        "line too. Remove one of the two."
                    )
                found[name] = _instance(table.where(row), row.cells)
    except DataError as error:
        raise ConfigError(str(error)) from None
    return found


def _instance(where: str, row: dict[str, str]) -> InstanceType:
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
            f"{where}: the row of {row['instance']!r} is wrong ({error}): cpus, memory_gib, gpus "
            "and usd_per_hour are numbers."
        ) from None
