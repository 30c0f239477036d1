"""Sources of recordings: one file per dataset, and the table of them.

To add a dataset, write a frozen dataclass that offers what `Source` asks for, and add a row here; a
package of your own names it as an entry point instead. Datasets are downloaded in `download`, and
recordings become shards in `ingest`, not here.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from mvkt_ray.data.sources.cinc2021 import Cinc2021
from mvkt_ray.data.sources.cpsc2018 import Cpsc2018
from mvkt_ray.data.sources.hospital.aecg_file import AecgFolder
from mvkt_ray.data.sources.hospital.dicom_file import DicomFolder
from mvkt_ray.data.sources.hospital.edf_file import EdfFolder
from mvkt_ray.data.sources.hospital.muse_file import MuseFolder
from mvkt_ray.data.sources.hospital.parquet_rows import ParquetRows
from mvkt_ray.data.sources.hospital.table_file import TableFolder
from mvkt_ray.data.sources.ptbxl import PtbXl
from mvkt_ray.data.sources.source import Source
from mvkt_ray.data.sources.source_options import checked_options
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.data.sources.with_unlabelled import OPTION, WithUnlabelled
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean, listing
from mvkt_ray.plugins.entry_points import Plugin, find_plugin, plugin_names
from mvkt_ray.plugins.loading import load, unfit

__all__ = ["SOURCES", "Source", "open_source", "source_class", "source_plugin"]

SOURCES: dict[str, type[Source]] = {
    source.name: source
    for source in (
        *(PtbXl, Cpsc2018, Cinc2021, WfdbFolder),
        *(DicomFolder, EdfFolder, AecgFolder, MuseFolder, TableFolder, ParquetRows),
        Synthetic,
    )
}
"""Every source of ours, by the name that users give."""

SOURCE_HAS = ("has_folds", "references", "not_listed", "read", "tasks")
"""Members of a source beside its name; see `Source`."""


def source_plugin(name: str) -> Plugin | None:
    """Return the plug-in that offers a source; None where the source is ours, or there is none.

    Raises:
        ConfigError: Several packages offer it.
    """
    return find_plugin("source", name, SOURCES)


def source_class(name: str) -> type[Source]:
    """Return the class of a source; that of a plug-in is imported now.

    Raises:
        ConfigError: There is no such source, or what a plug-in offers is none.
    """
    plugin = source_plugin(name)
    if plugin is not None:
        return _checked(plugin)
    if name in SOURCES:
        return SOURCES[name]
    hint = did_you_mean(name, [*SOURCES, *plugin_names("source")])
    raise ConfigError(f"there is no source {name!r}; {hint}")


def _checked(plugin: Plugin) -> type[Source]:
    """Import the source of a plug-in, and see that it is one."""
    found: Any = load(plugin)
    should = "must be a frozen dataclass with a location and what mvkt_ray.data.sources.Source has"
    if not isinstance(found, type) or not is_dataclass(found):
        raise unfit(plugin, f"is {found!r}", should)
    if "location" not in {item.name for item in fields(found)}:
        raise unfit(plugin, "has no field `location`", should)
    missing = [name for name in SOURCE_HAS if not hasattr(found, name)]
    if missing:
        raise unfit(plugin, f"lacks {listing(missing)}", should)
    name: Any = getattr(found, "name", None)
    if name != plugin.name:
        raise unfit(plugin, f"calls itself {name!r}", f"must have `name = {plugin.name!r}`")
    return cast(type[Source], found)


def open_source(name: str, location: str, options: Mapping[str, object]) -> Source:
    """Make the source of that name; no file is touched yet.

    Args:
        name: a key of `SOURCES`, or what a plug-in offers.
        location: folder of the dataset; the synthetic source needs none and takes any.
        options: fields of the source's dataclass, typed or as text; and, of any source,
            `unlabelled`, a folder of further records without labels.

    Raises:
        ConfigError: for an unknown name or option, a value out of range, or a plug-in that is no
            source.
    """
    cls: Any = source_class(name)
    own = {key: value for key, value in options.items() if key != OPTION}
    source: Source = cls(location=location, **checked_options(name, cls, own))
    if OPTION not in options:
        return source
    beside = checked_options(name, WithUnlabelled, {OPTION: options[OPTION]})
    # Its name is that of another source, so no constant of its class as the protocol has it.
    return cast(Source, WithUnlabelled(source=source, **beside))
