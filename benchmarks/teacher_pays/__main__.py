"""Where the teacher pays: train what is missing, and write what there is.

    python -m benchmarks.teacher_pays ways     --data PTBXL_FOLDER --out runs/pays
    python -m benchmarks.teacher_pays labels   --data PTBXL_FOLDER --out runs/pays
    python -m benchmarks.teacher_pays controls --data PTBXL_FOLDER --out runs/pays
    python -m benchmarks.teacher_pays rotation --data PTBXL_FOLDER --out runs/pays
    python -m benchmarks.teacher_pays ceiling  --data PTBXL_FOLDER --out runs/pays
    python -m benchmarks.teacher_pays page     --out runs/pays --page benchmarks/TEACHER.md
        [--ways mkd,relation] [--leads II,V5,V2,aVF] [--seeds 3] [--folds 1-7/8/9]
        [--test-folds 1,2,3] [--recipes 1] [--workers 2] [--in-process]

`page` keeps what it found in `kept/`, beside this file; of a part that was not run here it shows
what was kept. May be stopped at any time and called again: what is finished is found. Hours: a
student takes half a minute of one core, and there are hundreds.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.teacher_pays.ceiling import run_ceiling
from benchmarks.teacher_pays.controls import BUDGET, LEADS, controls_of, run_control
from benchmarks.teacher_pays.page import read_ways, write_page
from benchmarks.teacher_pays.rotation import TEST_FOLDS, Recipe, run_fold
from benchmarks.teacher_pays.studies import FIDELITY, mvkt, search, write_study
from benchmarks.teacher_pays.ways import ALONE, MKD, TEACHERS, WAYS, Training, train, trainings
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.pipeline import trial_inputs
from mvkt_ray.search.stages import prepare
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import TrialInputs

ROTATED = (
    Recipe(suffix="", teacher={}, contenders={name: WAYS[name].set for name in (ALONE, MKD)}),
    Recipe(
        suffix="_three",
        teacher=TEACHERS["three"],
        contenders={"three_teachers": WAYS["three_teachers"].set},
    ),
)
"""What all folds are examined by; the last one is what the screens found best, if anything."""


def main(words: Sequence[str] | None = None) -> int:
    """Read the arguments and do one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "part", choices=["ways", "labels", "controls", "rotation", "ceiling", "page"]
    )
    parser.add_argument("--data", default="-", help="folder of PTB-XL, or shards")
    parser.add_argument("--out", type=Path, default=Path("runs/pays"))
    parser.add_argument("--page", type=Path, default=Path("benchmarks/TEACHER.md"))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--leads", default="II,V5,V2,aVF")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", default="1-7/8/9")
    every = ",".join(map(str, TEST_FOLDS))
    parser.add_argument("--test-folds", default=every, help="of the rotation")
    parser.add_argument("--recipes", type=int, default=len(ROTATED), help="of the rotation")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in-process", action="store_true")
    arguments = parser.parse_args(words)
    runner = ["--in-process"] if arguments.in_process else []
    match arguments.part:
        case "ways":
            train_ways(arguments)
        case "labels":
            out = arguments.out / "labels"
            study = FIDELITY.parent / "label_budget.yaml"
            resume = ["--resume"] if out.exists() else []
            given = ["--data", arguments.data, "--folds", arguments.folds, "--out", str(out)]
            mvkt("label-budget", str(study), *given, *runner, *resume)
        case "controls":
            for control in controls_of(arguments.out / "labels", BUDGET, LEADS):
                run_control(control, arguments.out, arguments.data, runner)
        case "rotation":
            folds = [int(fold) for fold in arguments.test_folds.split(",")]
            for recipe in ROTATED[: arguments.recipes]:
                for fold in folds:
                    run_fold(fold, arguments.out, arguments.data, recipe, arguments.seeds, runner)
        case "ceiling":
            run_ceiling(arguments.out, arguments.data, arguments.folds, runner)
        case _:
            command = shlex.join(["python", "-m", "benchmarks.teacher_pays", *sys.argv[1:]])
            arguments.page.write_text(write_page(arguments.out, command, ROTATED))
            print(f"wrote {arguments.page}")
    return 0


def train_ways(arguments: argparse.Namespace) -> None:
    """Train every way on every lead and seed, side by side."""
    ways, leads = arguments.ways.split(","), arguments.leads.split(",")
    teachers = dict.fromkeys(WAYS[way].teacher for way in ways)
    inputs = {name: inputs_of(name, arguments, leads) for name in teachers}
    known = read_ways(arguments.out)
    todo = [
        each
        for each in trainings(ways, leads, arguments.seeds)
        if (each.way, each.lead, each.seed) not in known
    ]
    folder = str(arguments.out / "ways")
    with ProcessPoolExecutor(arguments.workers) as pool:
        tasks = {
            pool.submit(train, each, inputs[WAYS[each.way].teacher], folder): each for each in todo
        }
        for done, task in enumerate(as_completed(tasks), start=1):
            macro_auroc = task.result().macro_auroc or 0.0
            note(arguments.out / "ways.jsonl", tasks[task], macro_auroc)
            print(f"[{done}/{len(todo)}] {tasks[task]} {macro_auroc:.4f}", flush=True)


def inputs_of(teacher: str, arguments: argparse.Namespace, leads: list[str]) -> TrialInputs:
    """Make shards, teacher and knowledge by `mvkt search`, which finds them the next time."""
    out = arguments.out / "teachers" / teacher
    study = write_study(
        arguments.out / f"{teacher}.yaml",
        {
            "base": str(FIDELITY),
            "name": teacher,
            "data": {"finer_task": "subdiagnostic"},
            "teacher": dict(TEACHERS[teacher]),
            "search": {"n_trials": 0, "baselines": [], "leads": leads},
            "finals": {"contenders": {"mkd": {"base": "defaults"}}},
        },
    )
    search(study, out, arguments.data, arguments.folds, ["--in-process"])
    folder = StudyFolder(Location.parse(out))
    config = folder.read_config()
    shards = folder.read_inputs()["shards"]
    assert shards is not None
    return trial_inputs(config, folder, prepare(config, Location.parse(shards)), {})


def note(file: Path, training: Training, macro_auroc: float) -> None:
    """Append a line; what is noted twice is the same."""
    row = {"way": training.way, "lead": training.lead, "seed": training.seed}
    with file.open("a") as stream:
        stream.write(json.dumps({**row, "macro_auroc": macro_auroc}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
