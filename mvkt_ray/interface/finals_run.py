"""Runs finals: checks their arguments, then trains and examines them in a session.

Reads and writes: the study's folder.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import checked_study, read_study
from mvkt_ray.display.console import Output
from mvkt_ray.display.waiting_lines import FOR_LEDGER, showing_waits
from mvkt_ray.interface.arguments import RunnerChoice, read_limits, with_finals, with_prices
from mvkt_ray.interface.sessions.driver_session import driver_session
from mvkt_ray.interface.sessions.own_files import expect_writable, own_files
from mvkt_ray.phrasing import duration
from mvkt_ray.search.finals.finals_outlook import FinalsRequest, finals_config, finals_outlook
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.search.finals.run_finals import run_finals
from mvkt_ray.search.ledger.ledger_database import driving
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.statistics.scores import auroc_per_class, macro_mean
from mvkt_ray.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalsCall:
    """Checked request for finals."""

    folder: StudyFolder
    config: StudyConfig
    request: FinalsRequest
    runner: RunnerChoice


def finals_call(
    study_dir: str | Path,
    *,
    study: str | Path | StudyConfig | None = None,
    seeds: int | None = None,
    top_k: int | None = None,
    refit: bool = False,
    again: str | None = None,
    start_over: bool = False,
    without_failed: bool = False,
    now: bool = False,
    max_gpu_hours: float | None = None,
    max_cost: float | None = None,
    prices: str | Path | None = None,
    address: str | None = None,
    in_process: bool = False,
) -> FinalsCall:
    """Check the arguments of finals, which `calls.finalize` documents.

    Raises:
        ConfigError: An argument is wrong.
        ArtifactError: There is no study.
    """
    runner = RunnerChoice(address, in_process)
    folder = StudyFolder(Location.parse(study_dir))
    given = checked_study(study) if isinstance(study, StudyConfig) else None
    if study is not None and not isinstance(study, StudyConfig):
        given = read_study(study)
    config = finals_config(folder, given)
    config = with_prices(with_finals(config, seeds=seeds, top_k=top_k, refit=refit), prices)
    request = FinalsRequest(
        again=again,
        start_over=start_over,
        without_failed=without_failed,
        now=now,
        limits=read_limits(max_gpu_hours, max_cost),
    )
    return FinalsCall(folder=folder, config=config, request=request, runner=runner)


def train_and_examine(output: Output, call: FinalsCall) -> FinalsResults:
    """Run finals in a session of their own, and show their progress."""
    folder, config, started = call.folder, call.config, time.monotonic()
    expect_writable(folder)
    with (
        showing_waits(output.note, FOR_LEDGER),
        driving(folder, begins=False, patience=Patience(say=output.note)) as database,
        finals_outlook(folder, config, call.request, database) as outlook,
    ):
        # All checks are done before Ray starts, which takes seconds.
        output.say(f"finals of {config.name} in {folder.root}")
        with driver_session(
            output,
            own_files(output, folder.logs, folder.ray),
            config,
            call.runner,
            name=f"{config.name}, finals",
        ) as session:
            results = run_finals(outlook, session.runner, session.view)
            log_note = session.log_note
    output.say(f"done in {duration(time.monotonic() - started)}{log_note}")
    return results


def results_as_value(name: str, results: FinalsResults) -> dict[str, Any]:
    """Return the test scores, means over seeds, as a JSON object, with leads by rank."""
    labels_NC = results.test.labels_NC
    rows: list[dict[str, Any]] = []
    for (contender, lead), scores_RNC in results.test.scores.items():
        macros = [macro_mean(auroc_per_class(labels_NC, each)) for each in scores_RNC]
        values = [macro.value for macro in macros]
        rows.append(
            {
                "lead": lead,
                "contender": contender,
                "macro_auroc": float(np.mean(values)),
                "seed_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
                "seeds": list(results.test.seeds[contender, lead]),
            }
        )
    teacher = macro_mean(auroc_per_class(labels_NC, results.test.teacher_NC))
    ranked = [row for row in rows if row["contender"] == results.answer]
    ranked.sort(key=lambda row: -row["macro_auroc"])
    opening = results.openings[-1]
    return {
        "study": name,
        "finals": results.number,
        "refit": results.refit,
        "answer": results.answer,
        "n_test_recordings": opening.n_recordings,
        "openings": [each.to_json() for each in results.openings],
        "teacher": {"macro_auroc": teacher.value},
        "classes_left_out": [results.classes[index] for index in teacher.left_out],
        "leads": ranked,
        "contenders": rows,
    }
