"""Where the teacher pays: train what is missing, and write what there is.

    python -m benchmarks.teacher_pays ways --data PTBXL_FOLDER --out runs/pays
        [--ways mkd,relation] [--leads II,V5,V2,aVF] [--seeds 3] [--folds 1-7/8/9] [--workers 2]

May be stopped at any time and called again: every student has a folder, and is trained once.
Hours: a student takes half a minute of one core.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.teacher_pays.ways import TEACHERS, WAYS, Training, train, trainings
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.pipeline import trial_inputs
from mvkt_ray.search.stages import prepare
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import TrialInputs

STUDY = Path(__file__).parents[2] / "search_spaces" / "fidelity.yaml"


def main(words: Sequence[str] | None = None) -> int:
    """Read the arguments and do one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["ways"])
    parser.add_argument("--data", required=True, help="folder of PTB-XL, or shards")
    parser.add_argument("--out", type=Path, default=Path("runs/pays"))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--leads", default="II,V5,V2,aVF")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", default="1-7/8/9")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args(words)
    leads = arguments.leads.split(",")
    ways = arguments.ways.split(",")
    inputs = {
        name: inputs_of(name, arguments, leads)
        for name in dict.fromkeys(WAYS[way].teacher for way in ways)
    }
    todo = trainings(ways, leads, arguments.seeds)
    folder = str(arguments.out / "ways")
    with ProcessPoolExecutor(arguments.workers) as pool:
        tasks = {
            pool.submit(train, each, inputs[WAYS[each.way].teacher], folder): each for each in todo
        }
        for done, task in enumerate(as_completed(tasks), start=1):
            note(arguments.out / "ways.jsonl", tasks[task], task.result().macro_auroc or 0.0)
            print(f"[{done}/{len(todo)}] {tasks[task]} {task.result().macro_auroc:.4f}", flush=True)
    return 0


def inputs_of(teacher: str, arguments: argparse.Namespace, leads: list[str]) -> TrialInputs:
    """Make shards, teacher and knowledge by `mvkt search`, which finds them the next time."""
    out = arguments.out / "teachers" / teacher
    study = arguments.out / f"{teacher}.yaml"
    arguments.out.mkdir(parents=True, exist_ok=True)
    study.write_text(
        f"base: {STUDY}\nname: {teacher}\nteacher: {TEACHERS[teacher]}\n"
        f"search: {{n_trials: 0, baselines: [], leads: [{', '.join(leads)}]}}\n"
        "finals: {contenders: {mkd: {base: defaults}}}\n"
    )
    words = ["search", str(study), "--data", arguments.data, "--folds", arguments.folds]
    words += ["--out", str(out), "--in-process", "-q", *(["--resume"] if out.exists() else [])]
    subprocess.run([sys.executable, "-m", "mvkt_ray", *words], check=True)
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
