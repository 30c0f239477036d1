"""Checks that a study is resumed with the same space, data and settings."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import ArtifactError, ConfigError, StaleArtifactError
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_identity import MAY_CHANGE, flattened, plain_config


def find_ledger(database: LedgerDatabase, name: str, *, resume: bool) -> Ledger | None:
    """Read the ledger of a study that is to be driven; None where there is none yet.

    Args:
        database: That it is in.
        name: Of the study.
        resume: Whether a study may be there.

    Raises:
        ArtifactError: One is there and `resume` is false, or the ledger cannot be read, or is that
            of another study.
    """
    ledger = Ledger.find(database, name)
    if ledger is None and (others := Ledger.names(database)):
        raise ArtifactError(
            f"{database.name} is in use: it holds the study {others[0]!r}, not {name!r} as in "
            "study.yaml beside it or in the given file. Restore study.yaml from a copy, give the "
            "study's own file, or give another output folder."
        )
    if ledger is not None and not resume:
        ledger.close()
        raise ArtifactError(
            f"{database.url} is in use: it holds the study {name!r}. Go on with it by --resume, or "
            "give another output folder."
        )
    return ledger


def check_same_study(
    notes: Mapping[str, Any], config: StudyConfig, inputs: Mapping[str, str]
) -> None:
    """Raise unless a ledger's study may be resumed with this configuration and these inputs.

    Args:
        notes: The ledger's notes on its study; without `config` it has not begun.
        config: The configuration to resume with.
        inputs: Fingerprints of the inputs to resume with, by kind.

    Raises:
        StaleArtifactError: The message has the differing keys, or both fingerprints.
    """
    if "config" not in notes:
        return
    _refuse_differing(config, cast(Mapping[str, Any], notes["config"]))
    for kind, fingerprint in inputs.items():
        before = notes["inputs"].get(kind)
        if before != fingerprint:
            raise StaleArtifactError(
                f"the study {config.name!r} was started with {kind} {str(before)[:12]}, but is "
                f"resumed with {kind} {fingerprint[:12]}. Give the original {kind}, or another "
                "output folder."
            )


def refuse_other_config(config: StudyConfig, begun_with: StudyConfig) -> None:
    """Raise unless a study may be resumed with a configuration.

    Raises:
        StaleArtifactError: The message has the differing keys.
    """
    _refuse_differing(config, plain_config(begun_with))


def extended(config: StudyConfig, n_more: int) -> StudyConfig:
    """Return a study with `n_more` trials, with the samples of a study that began with as many.

    Raises:
        ConfigError: `n_more` is below 1, or the study is a grid, all points of which are trials.
    """
    if n_more < 1:
        raise ConfigError(
            f"--trials must be at least 1, got {n_more}: it is the number of trials to add."
        )
    if config.search.sampler == "grid":
        raise ConfigError(
            f"the study {config.name!r} tries every point of a grid, and its "
            f"{config.search.n_trials} trials are all of them: none can be added. Start a study "
            "with a larger space, or with another sampler, which can learn from this one by "
            "`search.learn_from`."
        )
    search = dataclasses.replace(config.search, n_trials=config.search.n_trials + n_more)
    return dataclasses.replace(config, search=search)


def _refuse_differing(config: StudyConfig, begun_with: Mapping[str, Any]) -> None:
    was, now = flattened(begun_with), flattened(plain_config(config))
    differing = [
        f"{key} (was {was.get(key)!r}, is {now.get(key)!r})"
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key) and not key.startswith(MAY_CHANGE)
    ]
    if differing:
        raise StaleArtifactError(
            f"the study {config.name!r} was started with another configuration: "
            f"{_some(differing)}. Only search.n_trials, search.max_retries, "
            "search.stop_after_failures, student.validate, workers and prices may change. Resume "
            "it with its own file, or give another output folder."
        )


def _some(texts: Sequence[str]) -> str:
    shown = "; ".join(texts[:5])
    return shown if len(texts) <= 5 else f"{shown}; and {len(texts) - 5} more"
