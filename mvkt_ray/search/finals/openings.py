"""Openings of the test split: recorded in the ledger before anything is read, and never removed.

An opening records when, why, by which code and for how many recordings. It is complete when every
student and the teacher have been examined; an interrupted examination continues under the same
opening, and the split still counts as opened once.
"""

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mvkt_ray
from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.tasks import Task
from mvkt_ray.storage.manifest import command_line, fingerprint_of

_GIT_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """The program that ran: its version, source hash and commit."""

    mvkt_ray_version: str
    code: str
    """SHA-256 over the paths and contents of the package's Python files."""
    commit: str | None
    """Of git, with `+changes` where files differ from it; None outside of a checkout."""

    @classmethod
    def now(cls) -> "Code":
        """Read and hash the package that runs."""
        root = Path(mvkt_ray.__file__).parent
        digest = hashlib.sha256()
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return cls(
            mvkt_ray_version=mvkt_ray.__version__,
            code=digest.hexdigest(),
            commit=_git_commit(root),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """One opening of the test split."""

    number: int
    """From 1, over all finals of the study."""
    finals: int
    """Number of the finals that it was opened for."""
    opened_at: str
    """ISO 8601, UTC."""
    mvkt_ray_version: str
    code: str
    """SHA-256 of the package's source; see `Code`."""
    commit: str | None
    command: str
    host: str
    reason: str
    """The reason for opening it again; empty for the first opening."""
    n_recordings: int
    """Number of recordings in the test split."""
    shards: str
    """Fingerprint of the shards."""
    split: str
    """Fingerprint of the definition of the split: task, folds, least likelihood."""
    completed_at: str | None = None
    """Time of the last prediction; None until the examination has ended."""
    completed_by: str | None = None
    """Hash of the code that completed it; differs from `code` if that was changed meanwhile."""
    predictions: str | None = None
    """SHA-256 over all predictions."""

    @property
    def seal(self) -> str:
        """Hash of the opening without its completion; predictions carry it."""
        begun = replace(self, completed_at=None, completed_by=None, predictions=None)
        return fingerprint_of(asdict(begun))

    @classmethod
    def now(
        cls,
        *,
        number: int,
        finals: int,
        reason: str,
        n_recordings: int,
        shards: Shards,
        task: Task,
        folds: FoldsConfig,
        min_likelihood: float,
    ) -> "Opening":
        """Make the record of an opening; reads nothing of the test split."""
        code = Code.now()
        return cls(
            number=number,
            finals=finals,
            opened_at=_now(),
            mvkt_ray_version=code.mvkt_ray_version,
            code=code.code,
            commit=code.commit,
            command=command_line(),
            host=platform.node(),
            reason=reason,
            n_recordings=n_recordings,
            shards=shards.fingerprint,
            split=fingerprint_of([task.to_json(), asdict(folds), min_likelihood]),
        )

    def complete(self, predictions: str) -> "Opening":
        """Return the opening as completed, with the hash over all predictions."""
        return replace(
            self, completed_at=_now(), completed_by=Code.now().code, predictions=predictions
        )

    def describe(self) -> str:
        """Write time, host and program, for messages."""
        commit = f", commit {self.commit[:12]}" if self.commit else ""
        return (
            f"{self.opened_at} on {self.host} by mvkt-ray {self.mvkt_ray_version} "
            f"(code {self.code[:12]}{commit})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for the ledger."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Opening":
        """Read what `to_json` gave."""
        return cls(**value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_commit(root: Path) -> str | None:
    """Ask git for the commit of the package, if git knows the package."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
        return done.stdout.strip()

    try:
        # A virtual environment inside of another project's checkout is not that project.
        git("ls-files", "--error-unmatch", "__init__.py")
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changes else commit
