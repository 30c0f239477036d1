"""Sources of recordings: one file per dataset, and the table of them.

To add a dataset, write a frozen dataclass that offers what `Source` asks for, and add a row here.
Datasets are downloaded in `download`, and recordings become shards in `ingest`, not here.
"""

from collections.abc import Mapping
from typing import Any, cast

from mvkt_ray.data.sources.cinc2021 import Cinc2021
from mvkt_ray.data.sources.cpsc2018 import Cpsc2018
from mvkt_ray.data.sources.ptbxl import PtbXl
from mvkt_ray.data.sources.source import Source
from mvkt_ray.data.sources.source_options import checked_options
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.sources.wfdb_folder import WfdbFolder
from mvkt_ray.data.sources.with_unlabelled import OPTION, WithUnlabelled
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean

__all__ = ["SOURCES", "Source", "open_source"]

SOURCES: dict[str, type[Source]] = {
    source.name: source for source in (PtbXl, Cpsc2018, Cinc2021, WfdbFolder, Synthetic)
}
"""Every source, by the name that users give."""


def open_source(name: str, location: str, options: Mapping[str, object]) -> Source:
    """Make the source of that name; no file is touched yet.

    Args:
        name: a key of `SOURCES`.
        location: folder of the dataset; the synthetic source needs none and takes any.
        options: fields of the source's dataclass, typed or as text; and, of any source,
            `unlabelled`, a folder of further records without labels.

    Raises:
        ConfigError: for an unknown name or option, or a value out of range.
    """
    if name not in SOURCES:
        raise ConfigError(f"there is no source {name!r}; {did_you_mean(name, SOURCES)}")
    cls: Any = SOURCES[name]
    own = {key: value for key, value in options.items() if key != OPTION}
    source: Source = cls(location=location, **checked_options(name, cls, own))
    if OPTION not in options:
        return source
    beside = checked_options(name, WithUnlabelled, {OPTION: options[OPTION]})
    # Its name is that of another source, so no constant of its class as the protocol has it.
    return cast(Source, WithUnlabelled(source=source, **beside))
