"""Decides what `mvkt finalize` does: begin finals, continue some, or refuse, with the reason.

Once per command: `--dry-run` shows the decision, `run_finals` carries it out.

Reads: the study's folder and its ledgers. Writes nothing.
"""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import ArtifactError, ConfigError, StaleArtifactError
from mvkt_ray.records import TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_plan import Contender, plan_finals
from mvkt_ray.search.finals.finals_results import openings_of
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.study_identity import plain_config
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.same_study import check_same_study, refuse_other_config
from mvkt_ray.search.spending.budget import NO_LIMITS, Limits
from mvkt_ray.search.stages import Prepared, prepare
from mvkt_ray.search.study import cpu_precision_of
from mvkt_ray.storage.artifacts import read_manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsRequest:
    """Options of finals beside their configuration."""

    again: str | None = None
    """The reason for opening the test split again; None: not requested."""
    start_over: bool = False
    """Replace unopened finals that were begun with another configuration."""
    without_failed: bool = False
    """Examine without the trainings that failed."""
    now: bool = False
    """Choose configurations although the search has not ended."""
    limits: Limits = NO_LIMITS
    """On the spending of the whole study, its teacher and search included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsOutlook:
    """The decision, with the open ledgers that it will be recorded in."""

    folder: StudyFolder
    database: LedgerDatabase
    config: StudyConfig
    request: FinalsRequest
    searched: tuple[TrialRecord, ...]
    """All trials of the search, by number."""
    earlier: tuple[TrialRecord, ...]
    """All trainings of the study's other finals, which count against the limits, too."""
    prepared: Prepared
    space: SearchSpace
    plan: tuple[Contender, ...]
    facts: Mapping[str, Any]
    openings: tuple[Opening, ...]
    """Of the test split, so far."""
    begun: FinalsLedger | None
    """Finals to continue; None: new ones begin."""
    abandoned: FinalsLedger | None
    """Unopened finals that the new ones replace."""
    cpu_precision: Mapping[str, str]
    """Resolved `precision: auto` on CPUs, by network, as in the search."""
    number: int
    """Of the finals that continue or begin."""
    reason: str
    """The reason for opening the test split again; empty the first time."""


def finals_config(folder: StudyFolder, config: StudyConfig | None) -> StudyConfig:
    """Return the study of a folder, with finals and resources as another file of it has them.

    Raises:
        ArtifactError: There is no study.
        StaleArtifactError: The file describes another study.
    """
    folder.expect_study()
    own = folder.read_config()
    if config is None:
        return own
    try:
        refuse_other_config(config, own)
    except StaleArtifactError as error:
        raise StaleArtifactError(
            f"{error} For other finals, copy {folder.study_file} and change `finals:` in the copy."
        ) from None
    return config


@contextlib.contextmanager
def finals_outlook(
    folder: StudyFolder,
    config: StudyConfig,
    request: FinalsRequest,
    database: LedgerDatabase,
) -> Generator[FinalsOutlook]:
    """Look at a study and decide; the ledgers are closed in the end.

    Args:
        folder: Of the study.
        config: The study, with the finals that are asked for.
        request: What else is asked.
        database: The study's ledgers, opened to be read, or by the driver that runs the finals.

    Raises:
        ArtifactError: There is no study, its search has not ended, or the test split was opened.
        ConfigError: The finals cannot be planned, or a limit can never be reached.
        StaleArtifactError: Finals were begun with another configuration, or data were changed.
    """
    request.limits.check(config.resources)
    with contextlib.ExitStack() as stack:
        search = stack.enter_context(contextlib.closing(Ledger.open(database, config.name)))
        notes, records = search.notes, search.records
        if "config" not in notes:
            raise ArtifactError(f"{folder.root}: the search has not begun. Start it again.")
        if not request.now:
            _refuse_unfinished(folder, config, records)
        shards, teacher = (folder.read_inputs()[kind] for kind in ("shards", "teacher"))
        if shards is None or teacher is None:
            raise ArtifactError(
                f"{folder.inputs_file} names no shards or no teacher: the search has not reached "
                "its trials. Run `mvkt search --resume` first."
            )
        prepared = prepare(config, shards)
        inputs = {
            "shards": prepared.shards.fingerprint,
            "teacher": read_manifest(teacher, "teacher").fingerprint,
        }
        check_same_study(notes, config, inputs)
        space = SearchSpace.from_config(config, notes["leads"])
        plan = plan_finals(config.finals, space, records, config.search.objectives)
        if not plan:
            raise ConfigError(
                "finals compare nothing: n_configurations is 0 and there are neither baselines "
                "nor contenders. Set `finals` in the study file."
            )
        ledgers = stack.enter_context(FinalsLedger.open_all(database, config.name))
        facts = {"finals": plain_config(config)["finals"], "inputs": inputs}
        begun, abandoned, reason = _decide(ledgers, plan, facts, request)
        yield FinalsOutlook(
            folder=folder,
            database=database,
            config=config,
            request=request,
            searched=tuple(records),
            earlier=tuple(
                record for each in ledgers if each is not begun for record in each.records
            ),
            prepared=prepared,
            space=space,
            plan=plan,
            facts=facts,
            openings=openings_of(ledgers),
            begun=begun,
            abandoned=abandoned,
            cpu_precision=cpu_precision_of(notes),
            number=begun.number if begun else len(ledgers) + 1,
            reason=reason,
        )


def _refuse_unfinished(
    folder: StudyFolder, config: StudyConfig, records: Sequence[TrialRecord]
) -> None:
    n_running = sum(record.state is TrialState.RUNNING for record in records)
    n_missing = config.search.n_trials - len(records)
    if not n_running and n_missing <= 0:
        return
    what: list[str] = []
    if n_running:
        what.append(f"{n_running} of its trials are running or were interrupted")
    if n_missing > 0:
        what.append(f"{n_missing} of {config.search.n_trials} have not begun")
    raise ArtifactError(
        f"the search in {folder.root} has not ended: {' and '.join(what)}. It might still find "
        f"better configurations. Continue it: {folder.resume_line}; or choose from the present "
        "trials by --now."
    )


def _decide(
    ledgers: Sequence[FinalsLedger],
    plan: Sequence[Contender],
    facts: Mapping[str, Any],
    request: FinalsRequest,
) -> tuple[FinalsLedger | None, FinalsLedger | None, str]:
    """Return the finals to continue, those to replace, and the reason for opening again.

    The order matters: a mistaken `--again` is refused before anything else, and opened finals are
    never replaced, as that would hide an opening.
    """
    openings = openings_of(ledgers)
    if request.again is not None and not request.again.strip():
        raise ConfigError(
            '--again "" gives no reason: state why the test split is to be opened again.'
        )
    if request.again is not None and not openings:
        raise ConfigError(
            f"--again {request.again!r}: the test split has not been opened yet. Leave --again out."
        )
    newest = ledgers[-1] if ledgers else None
    if newest is None or newest.left_behind:
        return None, None, request.again or (newest.reason if newest else "")
    opening = newest.opening
    if opening is not None and opening.completed_at is not None:
        if request.again is None:
            raise ArtifactError(_already_opened(opening, len(openings)))
        return None, None, request.again
    differing = newest.differences(plan, facts)
    if not differing:
        return newest, None, request.again or newest.reason
    if opening is not None:
        raise StaleArtifactError(
            f"the test split was opened for finals {newest.number} at {opening.describe()}, and "
            f"their examination is not finished; this command differs: {differing}. Finish that "
            "examination first, with the command that started it."
        )
    if request.start_over:
        return None, newest, request.again or newest.reason
    raise StaleArtifactError(
        f"finals {newest.number} were started with another configuration: {differing}. Resume "
        "them with that configuration, or abandon them, unopened, by --start-over."
    )


def _already_opened(opening: Opening, n_openings: int) -> str:
    times = "once" if n_openings == 1 else f"{n_openings} times"
    return (
        f"the test split has been opened {times}, the last time at {opening.describe()}, for "
        f"{opening.n_recordings} recordings, and `mvkt report` shows the results. Every "
        "further opening makes them less credible. If there is a reason, give it: --again "
        '"reason"; the ledger and the report record it.'
    )
