"""A whole study on an S3 server that goes wrong at random, beside the same one on a disk.

    python -m benchmarks.store_faults --out FOLDER [--seed 1] [--share 0.05]

From synthetic recordings to the report, in one process. Requests are answered with 503 or 500,
before or after they were carried out; connections are reset; answers come after pyarrow's client
has given up, in slow pieces, cut short, or with another ETag. Both reports must say the same. The
study on the disk is not run again where it is there from an earlier seed.

Writes: `FOLDER/disk/`, `FOLDER/seconds.json`, `FOLDER/bucket.json`, `FOLDER/counts.json`.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from mvkt_ray.storage.location import Location
from tests.object_store import S3Server, serve
from tests.store_faults import KINDS, Faults

STUDY: dict[str, Any] = {
    "name": "faults",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 60, "seed": 3, "duration_s": 4.0},
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 2, "batch_size": 16},
    "student": {"epochs": 3},
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 8,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {"leads": ["I", "V2"], "n_trials": 4, "baselines": [], "sampler": "random"},
    "finals": {"n_seeds": 2, "baselines": ["student_alone"]},
}

OF_THE_RUN = ("cost", "made_at", "command", "commands", "commit", "shards")
"""What two runs of one study need not share: seconds, places, the lines that were typed."""


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Name every value that differs, by its path."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [
            line
            for key in keys
            if key not in OF_THE_RUN and not key.endswith(("_s", "_at", "sha256"))
            for line in differences(one.get(key), other.get(key), f"{where}.{key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for n, (a, b) in pairs for line in differences(a, b, f"{where}[{n}]")]
    return [] if one == other else [f"{where.lstrip('.')}: {one!r} | {other!r}"]


def mvkt(*words: object, environment: dict[str, str]) -> None:
    """Run a line of the command line, and stop when it fails."""
    subprocess.run(
        [sys.executable, "-m", "mvkt_ray", *map(str, words)], env=environment, check=True
    )


def study(file: Path, out: object, environment: dict[str, str]) -> float:
    """Search, examine and report; return the seconds."""
    started = time.monotonic()
    mvkt("search", file, "--out", out, "--in-process", "--resume", environment=environment)
    mvkt("finalize", out, "--in-process", environment=environment)
    mvkt("report", out, environment=environment)
    return time.monotonic() - started


def main(out: Annotated[Path, typer.Option()], seed: int = 1, share: float = 0.05) -> None:
    """Run both studies, print how many requests went wrong and how, and compare the reports."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "faults.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    report = out / "disk" / "report" / "report.json"
    timed = out / "seconds.json"
    if not timed.exists():
        timed.write_text(json.dumps(study(file, out / "disk", dict(os.environ))))
    seconds = json.loads(timed.read_bytes())
    servers = serve()
    server: S3Server = next(servers)
    bucket = server.make_bucket("ecg") / "runs" / "one"
    faults = Faults(seed=seed, share=share)
    server.around = faults.around
    environment = {**os.environ, **server.environment, "MVKT_CACHE_DIR": str(out / "cache")}
    with_faults = study(file, bucket, environment)
    server.around = lambda application: application
    os.environ.update(server.environment)
    found = Location(f"{bucket}/report/report.json").read_bytes()
    (out / "bucket.json").write_bytes(found)
    counts = {kind: faults.counts[kind] for kind in KINDS}
    (out / "counts.json").write_text(json.dumps(counts, indent=2))
    print(f"{faults.n_requests} requests, {faults.counts.total()} went wrong (seed {seed})")
    for kind, count in counts.items():
        print(f"  {count:4d} {kind}")
    print(f"{with_faults:.0f} s on the store, {seconds:.0f} s on the disk")
    differ = differences(json.loads(report.read_bytes()), json.loads(found))
    print(f"values that differ: {len(differ)}", *differ, sep="\n  ")
    servers.close()
    raise typer.Exit(1 if differ else 0)


if __name__ == "__main__":
    typer.run(main)
