"""The time of the bootstrap over patients and seeds, at the size of PTB-XL's test fold.

    python benchmarks/bootstrap_time.py
    python benchmarks/bootstrap_time.py --recordings 22000 --threads 8

Prints wall and processor time and the peak of memory. Of a few resamples the same areas are made
the plain way, by scikit-learn on recordings that are repeated, and the time that this would take
for all is printed beside.
"""

import argparse
import resource
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from mvkt_ray.statistics.best_set import best_set
from mvkt_ray.statistics.intervals import bca_interval
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients

PREVALENCE = (0.43, 0.25, 0.24, 0.22, 0.12)
"""NORM, MI, STTC, CD and HYP in PTB-XL."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time the bootstrap over patients and seeds.")
    parser.add_argument("--recordings", type=int, default=2200)
    parser.add_argument("--leads", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    n = options.recordings
    labels_NC = rng.random((n, len(PREVALENCE))) < PREVALENCE
    shape = (options.leads, options.seeds, *labels_NC.shape)
    scores_KRNC = (rng.normal(size=shape) + 1.5 * labels_NC).astype(np.float32)
    patient_N = rng.integers(int(0.87 * n), size=n)  # PTB-XL: 18,869 patients, 21,799 recordings

    wall, processor = time.perf_counter(), time.process_time()
    resamples = draw_patients(patient_N, options.resamples)
    areas = bootstrap_auroc(labels_NC, scores_KRNC, resamples, n_threads=options.threads)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.resamples} resamples of {n} recordings x {labels_NC.shape[1]} classes x "
        f"{options.leads} leads x {options.seeds} seeds, {options.threads} threads:"
    )
    print(
        f"  bootstrap    {wall:6.1f} s wall, {processor:6.1f} s of processor, peak {peak_mb:.0f} MB"
    )

    start = time.perf_counter()
    jackknife = areas.jackknife()
    for k in range(options.leads):
        bca_interval(areas.macro_K[k], areas.macro_BK[:, k], jackknife.macro_PK[:, k])
    best_set(areas.macro_K, areas.macro_BK, seeds_KR=areas.macro_KR)
    print(f"  then BCa intervals and the best set {time.perf_counter() - start:.1f} s")

    start, n_plain = time.perf_counter(), 5
    for weights_N in resamples.weights_BN[:n_plain]:
        rows = np.repeat(np.arange(n), weights_N)
        roc_auc_score(labels_NC[rows], scores_KRNC[0, 0][rows])
    plain_s = (time.perf_counter() - start) / n_plain * np.prod(shape[:2]) * options.resamples
    print(f"  scikit-learn on repeated rows would take {plain_s:.0f} s")


if __name__ == "__main__":
    main()
