"""Find the best single ECG lead by distributed search over distilled students.

    import mvkt_ray as mvkt

    study = mvkt.search("search_spaces/quickstart.yaml", out="runs/quickstart")
    study.answer, study.best_set, study.leads

What is named in `__all__` is the public interface, and stays. It is loaded when it is first used:
to import this package takes no torch, no Ray and no Optuna. Nothing else is meant for others.
"""

import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mvkt_ray.config.data_config import DataConfig, FoldsConfig, LabelledConfig, ViewConfig
    from mvkt_ray.config.objectives import SizeLimitsConfig
    from mvkt_ray.config.recipes import AssistantConfig, StudentConfig, TeacherConfig
    from mvkt_ray.config.resources import CostConfig, NodeTypeConfig, ResourcesConfig, WorkersConfig
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.config.search_config import (
        ContenderConfig,
        FinalsConfig,
        ParameterConfig,
        PrunerConfig,
        SearchConfig,
    )
    from mvkt_ray.config.study_schema import study_schema
    from mvkt_ray.data.recording import LEADS, Recording
    from mvkt_ray.errors import (
        AllFailedError,
        ArtifactError,
        ClusterError,
        ConfigError,
        DataError,
        MachineError,
        MvktError,
        PreemptedError,
        RecordingError,
        StaleArtifactError,
        StoreError,
        StoreUnreachableError,
        TrialDivergedError,
        TrialError,
        WorkerLostError,
    )
    from mvkt_ray.interface.calls import finalize, ingest, search
    from mvkt_ray.interface.loaded_student import Student, load_student
    from mvkt_ray.interface.opened_shards import ShardSet, open_shards
    from mvkt_ray.interface.opened_study import Report, Study, open_study
    from mvkt_ray.interface.plotted_ecg import plot_ecg
    from mvkt_ray.interface.study_files import read_study, write_study
    from mvkt_ray.interface.torch_recordings import TorchRecordings

__version__ = "0.1.0"

__all__ = [
    "LEADS",
    "AllFailedError",
    "ArtifactError",
    "AssistantConfig",
    "ClusterError",
    "ConfigError",
    "ContenderConfig",
    "CostConfig",
    "DataConfig",
    "DataError",
    "FinalsConfig",
    "FoldsConfig",
    "LabelledConfig",
    "MachineError",
    "MvktError",
    "NodeTypeConfig",
    "ParameterConfig",
    "PreemptedError",
    "PrunerConfig",
    "Recording",
    "RecordingError",
    "Report",
    "ResourcesConfig",
    "SearchConfig",
    "ShardSet",
    "SizeLimitsConfig",
    "StaleArtifactError",
    "StoreError",
    "StoreUnreachableError",
    "Student",
    "StudentConfig",
    "Study",
    "StudyConfig",
    "TeacherConfig",
    "TorchRecordings",
    "TrialDivergedError",
    "TrialError",
    "ViewConfig",
    "WorkerLostError",
    "WorkersConfig",
    "__version__",
    "finalize",
    "ingest",
    "load_student",
    "open_shards",
    "open_study",
    "plot_ecg",
    "read_study",
    "search",
    "study_schema",
    "write_study",
]

_HOMES = {
    "config.data_config": ("DataConfig", "FoldsConfig", "LabelledConfig", "ViewConfig"),
    "config.objectives": ("SizeLimitsConfig",),
    "config.recipes": ("AssistantConfig", "StudentConfig", "TeacherConfig"),
    "config.resources": ("CostConfig", "NodeTypeConfig", "ResourcesConfig", "WorkersConfig"),
    "config.schema": ("StudyConfig",),
    "config.search_config": (
        "ContenderConfig",
        "FinalsConfig",
        "ParameterConfig",
        "PrunerConfig",
        "SearchConfig",
    ),
    "config.study_schema": ("study_schema",),
    "data.recording": ("LEADS", "Recording"),
    "errors": tuple(name for name in __all__ if name.endswith("Error")),
    "interface.calls": ("finalize", "ingest", "search"),
    "interface.loaded_student": ("Student", "load_student"),
    "interface.opened_shards": ("ShardSet", "open_shards"),
    "interface.opened_study": ("Report", "Study", "open_study"),
    "interface.plotted_ecg": ("plot_ecg",),
    "interface.study_files": ("read_study", "write_study"),
    "interface.torch_recordings": ("TorchRecordings",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a checker of types knows every name, and which there is not

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used (PEP 562)."""
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = _load(name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _load(name: str) -> Any:
    with warnings.catch_warnings():
        # Optuna imports tqdm, which misses widgets of a notebook that nobody here uses.
        warnings.filterwarnings("ignore", message="IProgress not found")
        home = import_module(f"{__name__}.{_HOME_OF[name]}")
    return getattr(home, name)


class _CalledRoom(ModuleType):
    """The room `search` of this package, which whoever calls it means the function by.

    Python gives a package its subpackages as attributes, so both have one name: `mvkt.search(...)`
    is a search, and `mvkt_ray.search.study` a module of the room.
    """

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(_load("search"))

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Search for the best lead; see `mvkt_ray.interface.calls.search`."""
        return _load("search")(*arguments, **options)


import_module(f"{__name__}.search").__class__ = _CalledRoom
