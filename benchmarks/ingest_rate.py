"""Recordings per second of `ingest`, beside a bare wfdb loop over the same files, interleaved.

    python benchmarks/ingest_rate.py PTBXL_FOLDER [--rounds 3] [--recordings 1000]

Prints one line per round and the medians. Both sides run in one process on one thread; the loop
only reads, the ingest also resamples, checks, scales, writes and hashes.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.wfdb_format.wfdb_formats import wfdb
from mvkt_ray.storage.location import Location


@dataclass(frozen=True)
class Timed:
    """Recordings and the seconds they took."""

    n_recordings: int
    seconds: float

    @property
    def rate(self) -> float:
        """Recordings per second."""
        return self.n_recordings / self.seconds


def timed(work: Callable[[], int]) -> Timed:
    """Run and time."""
    started = time.perf_counter()
    n_recordings = work()
    return Timed(n_recordings, time.perf_counter() - started)


def main() -> None:
    """Read the arguments, run the rounds, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recordings", type=int, default=10**9, help="of the bare loop")
    arguments = parser.parse_args()
    source = open_source("ptbxl", str(arguments.folder), {})
    paths = [ref.path for ref in source.references(100)]

    def bare_loop() -> int:
        n_read = 0
        for path in islice(paths, arguments.recordings):
            wfdb.rdrecord(path)
            n_read += 1
        return n_read

    def whole_ingest() -> int:
        with tempfile.TemporaryDirectory() as folder:
            out = Location.parse(folder) / "shards"
            return ingest(source, out, IngestSettings(sampling_rate_hz=100)).counts["n_recordings"]

    pairs: list[tuple[Timed, Timed]] = []
    for round_number in range(arguments.rounds):
        pairs.append((timed(bare_loop), timed(whole_ingest)))
        bare, ours = pairs[-1]
        print(f"round {round_number}: bare loop {bare.rate:.0f}/s, ingest {ours.rate:.0f}/s")
    bare_rate = statistics.median(bare.rate for bare, _ in pairs)
    our_rate = statistics.median(ours.rate for _, ours in pairs)
    ratio = statistics.median(ours.rate / bare.rate for bare, ours in pairs)
    print(f"median: bare loop {bare_rate:.0f}/s, ingest {our_rate:.0f}/s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
