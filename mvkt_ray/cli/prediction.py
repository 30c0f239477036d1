"""What a search will take, told before it starts, with what the prediction rests on."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mvkt_ray.cli.display.console import duration
from mvkt_ray.cli.display.money import money

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.runner import Runner
    from mvkt_ray.search.spending.forecast import Forecast

NO_BASIS = (
    "nothing: no trial of this study has ended. Give a study that ran with such data, networks and "
    "nodes by --like STUDY_DIR"
)


def predict(
    config: "StudyConfig",
    folder: "StudyFolder",
    runner: "Runner",
    *,
    like: str | None,
    in_process: bool,
) -> "Forecast | None":
    """Predict from the study's own trials, or else from those of a study that it is like.

    Args:
        config: The study.
        folder: Where it is, or will be.
        runner: Where it will run.
        like: Folder of another study.
        in_process: Trials run one after the other.

    Raises:
        ArtifactError: The other study is not there.
    """
    from mvkt_ray.records import TrialState
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.spending.forecast import forecast
    from mvkt_ray.storage.location import Location

    other = None if like is None else _look(StudyFolder(Location.parse(like)))
    own = _look(folder) if folder.study_file.exists() else None
    records = () if own is None else own[1]
    ended = [record for record in records if record.state.is_finished]
    is_own = any(record.state is TrialState.COMPLETE for record in ended)
    basis = (config, ended) if is_own else other
    if basis is None:
        return None
    return forecast(
        config,
        n_ended=len(ended),
        basis=basis[1],
        basis_epochs=basis[0].student.epochs,
        basis_name="this study" if is_own else f"{like}",
        nodes=runner.node_kinds(),
        one_at_a_time=in_process,
    )


def prediction_text(outlook: "Forecast | None") -> str:
    """Write a prediction in one line, with its basis."""
    if outlook is None:
        return NO_BASIS
    parts = [f"{outlook.worker_hours:.3g} worker hours"]
    if outlook.gpu_hours:
        parts.append(f"{outlook.gpu_hours:.3g} GPU hours")
    if outlook.money is not None:
        parts.append(money(outlook.money, outlook.currency))
    return (
        f"about {duration(outlook.wall_s)} with {outlook.n_at_once} trials at once; "
        f"{', '.join(parts)}: {outlook.n_trials} trials of {duration(outlook.full_trial_s)}, of "
        f"whose epochs {outlook.share:.0%} are trained. From {outlook.basis}; without ingest, "
        "teacher and knowledge"
    )


def prediction_as_value(outlook: "Forecast | None") -> dict[str, Any] | None:
    """Return a prediction as plain values, for JSON."""
    return None if outlook is None else asdict(outlook)


def _look(folder: "StudyFolder") -> "tuple[StudyConfig, tuple[Any, ...]] | None":
    from mvkt_ray.errors import ArtifactError
    from mvkt_ray.search.pipeline import open_study

    folder.expect_study()
    try:
        config, study = open_study(folder)
    except ArtifactError:
        # It has not come to its first trial.
        return None
    study.close()
    return config, study.trials()
