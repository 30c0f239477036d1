"""Where the datasets are published, and which of their files are recordings.

PhysioNet publishes all of them with a list of hashes, and mirrors them in an open bucket. The
bucket is the default, over plain HTTPS: it needs no account and no settings of S3, works through a
proxy, and answers tens of thousands of small requests faster than physionet.org does
(https://github.com/MIT-LCP/mimic-code/issues/600).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mvkt_ray.data.sources.cinc2021 import DATABASES
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean

_BUCKET = "https://physionet-open.s3.amazonaws.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedDataset:
    """A dataset as PhysioNet publishes it: `SHA256SUMS.txt` at its root names every file."""

    name: str
    """Name of the source that reads it."""
    title: str
    path: str
    """Project and version, below `physionet.org/files` and in the open bucket."""
    parts: Mapping[str, str] = field(hash=False)
    """Folders of recordings by the word that users choose them by; files at the root go with any.
    Other folders, such as the code of the Challenge's entries, are not recordings."""
    part_word: str
    """Word for a part, for messages."""

    @property
    def mirror(self) -> str:
        """Where it is downloaded from by default."""
        return f"{_BUCKET}/{self.path}"

    def chosen_parts(self, chosen: Sequence[str]) -> dict[str, str]:
        """Return folders by part; all when none is chosen.

        Raises:
            ConfigError: for a part that the dataset has not.
        """
        for part in chosen:
            if part not in self.parts:
                raise ConfigError(
                    f"{self.title} has no {self.part_word} {part!r}; it has "
                    f"{', '.join(self.parts)}. Choose one of these, or leave it out to get all."
                )
        return {part: self.parts[part] for part in chosen or self.parts}


def files_of_parts(sums: Mapping[str, str], folders: Iterable[str]) -> dict[str, str]:
    """Return the hashes of the files at the root and in these folders, in their order."""
    prefixes = tuple(folders)
    return {
        name: sha256
        for name, sha256 in sums.items()
        if "/" not in name or name.startswith(prefixes)
    }


_CHALLENGE = "challenge-2021/1.0.3"

PUBLISHED: dict[str, PublishedDataset] = {
    dataset.name: dataset
    for dataset in (
        PublishedDataset(
            name="ptbxl",
            title="PTB-XL 1.0.3",
            path="ptb-xl/1.0.3",
            parts={"100": "records100/", "500": "records500/"},
            part_word="rate",
        ),
        # The site of CPSC 2018 itself is gone, and gave no hashes; the Challenge has its recordings
        # with hashes, in a layout that the source reads as well.
        PublishedDataset(
            name="cpsc2018",
            title="CPSC 2018 in the PhysioNet Challenge 2021 1.0.3",
            path=_CHALLENGE,
            parts={"cpsc_2018": "training/cpsc_2018/"},
            part_word="database",
        ),
        PublishedDataset(
            name="cinc2021",
            title="PhysioNet Challenge 2021 1.0.3",
            path=_CHALLENGE,
            parts={name: f"training/{name}/" for name in DATABASES},
            part_word="database",
        ),
    )
}
"""Every dataset that can be downloaded, by the name of its source."""


def published_dataset(name: str) -> PublishedDataset:
    """Return the dataset of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in PUBLISHED:
        raise ConfigError(
            f"There is no dataset {name!r} to download; {did_you_mean(name, PUBLISHED)} "
            "Recordings that you already have are read by `mvkt ingest`."
        )
    return PUBLISHED[name]
