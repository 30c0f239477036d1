"""Downloads of published datasets to a folder: the table of datasets, mirrors, and the transfer.

The recordings in such a folder are read in `sources`; study artifacts are not fetched here but in
`storage`.
"""

from mvkt_ray.data.download.downloading import DownloadProgress, DownloadSummary, download
from mvkt_ray.data.download.one_file import Patience
from mvkt_ray.data.download.published import PUBLISHED, PublishedDataset, published_dataset

__all__ = [
    "PUBLISHED",
    "DownloadProgress",
    "DownloadSummary",
    "Patience",
    "PublishedDataset",
    "download",
    "published_dataset",
]
