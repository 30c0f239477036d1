"""A study on a Ray cluster of several nodes that share nothing but an S3 server.

    python -m benchmarks.five_nodes [--ptbxl FOLDER] [--trials 60] [--nodes 5] [--json FILE]

Starts moto's S3 server, a Ray cluster on this machine (one logical CPU and folders of its own for
each node), and `mvkt search` against both: recordings, shards, teacher, knowledge, ledger, trials
and report are in the bucket. When a third of the trials have ended a node is killed, when half
have, one is added. Prints what each node did, what the store was asked for, and what the nodes keep
on their disks.
"""

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import ray
import yaml
from ray._private import state
from ray.cluster_utils import Cluster

from mvkt_ray.on_ray.connecting.environment import environment, own_directory, own_token
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server, serve

POLL_S = 0.5
PARTS = {"source": "source/"} | {
    part: f"study/{part}"
    for part in ("shards", "teacher", "knowledge", "ledger", "trials", "report")
}
"""Parts of the bucket, by the beginning of their keys."""


@dataclass(frozen=True)
class Added:
    """The node that came in the middle: seconds from asking for it."""

    node: str
    alive_s: float
    """Ray knows it."""
    dealt_s: float
    """Its CPU is reserved for a trial."""
    started_s: float
    """The process of a trial is there."""


def study_file(folder: Path, *, n_trials: int, is_ptbxl: bool) -> Path:
    """Write the study: twelve leads, small students, few epochs."""
    quick = Path(__file__).parents[1] / "search_spaces" / "quickstart.yaml"
    study = yaml.safe_load(quick.read_text())
    study["name"] = "five_nodes"
    study["search"]["n_trials"] = n_trials
    study["student"]["epochs"] = 4
    study["teacher"]["epochs"] = 4
    if is_ptbxl:
        folds = {"train": [1, 2, 3, 4, 5, 6, 7], "val": [8], "test": [9]}
        study["data"] = {"source": "ptbxl", "task": "superdiagnostic", "folds": folds}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


@dataclass
class Nodes:
    """The cluster, and the folders of its nodes."""

    cluster: Cluster
    root: Path
    n_made: int = 0

    def add(self) -> Any:
        """Start a node with folders of its own."""
        own = self.root / f"n{self.n_made}"
        for name in ("tmp", "cache"):
            (own / name).mkdir(parents=True)
        self.n_made += 1
        with environment({"TMPDIR": str(own / "tmp"), "MVKT_CACHE_DIR": str(own / "cache")}):
            return self.cluster.add_node(num_cpus=1, object_store_memory=100_000_000)

    def bytes_kept(self, name: str) -> dict[str, int]:
        """Sum up, by node, what files in a folder take on disk."""
        return {
            own.name: sum(f.stat().st_blocks * 512 for f in (own / name).rglob("*") if f.is_file())
            for own in sorted(self.root.iterdir())
        }


@contextlib.contextmanager
def running_nodes(n_nodes: int, root: Path) -> Iterator[Nodes]:
    """Run a cluster with its own token and directory."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(own_directory())
        stack.enter_context(own_token(directory))
        stack.enter_context(environment({"RAY_TMPDIR": str(directory)}))
        cluster = Cluster()
        stack.callback(cluster.shutdown)
        nodes = Nodes(cluster, root)
        for _ in range(n_nodes):
            nodes.add()
        cluster.wait_for_nodes()
        yield nodes


def n_ended(trials: Location) -> int:
    """Count the trials that have ended."""
    return sum(name.endswith("/result.json") for name in trials.file_names())


def wait_until(search: subprocess.Popen[bytes], trials: Location, wanted: int) -> None:
    """Wait until so many trials have ended."""
    while n_ended(trials) < wanted:
        if search.poll() is not None:
            raise SystemExit(f"the search has ended with {search.returncode} before {wanted}")
        time.sleep(POLL_S)


def add_in_the_middle(nodes: Nodes) -> Added:
    """Add a node and wait until a trial is on it."""
    asked = time.monotonic()
    node_id = nodes.add().node_id
    alive_s = time.monotonic() - asked
    while state.available_resources_per_node().get(node_id, {"CPU": 1.0}).get("CPU", 0.0) > 0:
        time.sleep(0.05)
    dealt_s = time.monotonic() - asked
    while not any(
        actor["State"] == "ALIVE" and actor["Address"]["NodeID"] == node_id
        for actor in state.actors().values()
    ):
        time.sleep(0.05)
    return Added(node_id[:8], alive_s, dealt_s, time.monotonic() - asked)


def main() -> None:
    """Read the arguments, run the study, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ptbxl", type=Path, help="PTB-XL; synthetic recordings without it")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mvkt-five-") as folder,
        contextlib.contextmanager(serve)() as store,
        environment(store.environment),
    ):
        root = Path(folder, "nodes")
        root.mkdir()
        study = study_file(
            Path(folder), n_trials=arguments.trials, is_ptbxl=arguments.ptbxl is not None
        )
        base = store.make_bucket("five-nodes")
        data = []
        if arguments.ptbxl:
            upload(arguments.ptbxl, base / "source")
            data = ["--data", str(base / "source")]
        store.forget_requests()
        with running_nodes(arguments.nodes, root) as nodes:
            answer = run(nodes, study, data, base / "study", arguments.trials, store)
    print(yaml.safe_dump(answer, sort_keys=False, width=100))
    if arguments.json:
        arguments.json.write_text(json.dumps(answer, indent=2) + "\n")


def upload(folder: Path, to: Location) -> None:
    """Copy the recordings at 100 Hz and the tables into the bucket."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith("records500"):
            (to / name).write_bytes(path.read_bytes())


def asked_of(store: S3Server, prefix: str) -> dict[str, int]:
    """Count requests and bytes of objects whose keys begin so, and listings of them."""
    asked = [
        request
        for request in store.requests
        if request.key.startswith(prefix) or prefix in unquote(request.query)
    ]
    by_method = Counter(request.method for request in asked)
    return {
        **dict(by_method),
        "bytes_read": sum(request.n_bytes_out for request in asked if request.key),
        "bytes_written": sum(request.n_bytes_in for request in asked),
    }


def run(
    nodes: Nodes, study: Path, data: list[str], out: Location, n_trials: int, store: S3Server
) -> dict[str, Any]:
    """Run the search, with a node that goes and one that comes, and gather what it took."""
    trials, address = out / "trials", nodes.cluster.address
    ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    command = [
        *(sys.executable, "-m", "mvkt_ray", "search", str(study), "--out", str(out)),
        *("--address", address, "--quiet", *data),
    ]
    started = time.monotonic()
    search = subprocess.Popen(command, env={**os.environ})
    try:
        wait_until(search, trials, n_trials // 3)
        victim = nodes.cluster.list_all_nodes()[-1]
        lost = victim.node_id[:8]
        nodes.cluster.remove_node(victim, allow_graceful=False)
        wait_until(search, trials, n_trials // 2)
        added = add_in_the_middle(nodes)
        rc = search.wait()
        seconds = time.monotonic() - started
    finally:
        search.kill()
        ray.shutdown()
    records = open_study(StudyFolder(out))[1].trials()
    states = Counter(record.state.value for record in records)
    on_node = Counter(r.result.node.rpartition("/")[2] for r in records if r.result is not None)
    return {
        "exit_code": rc,
        "search_s": round(seconds, 1),
        "trials": dict(states),
        "trials_by_node": dict(on_node),
        "lost_node": lost,
        "lost_attempts": sum(len(record.failures) for record in records),
        "added_node": vars(added),
        "store": {part: asked_of(store, prefix) for part, prefix in PARTS.items()},
        "cache_bytes_by_node": nodes.bytes_kept("cache"),
        "other_bytes_by_node": nodes.bytes_kept("tmp"),
    }


if __name__ == "__main__":
    main()
