"""A trial of mvkt-ray beside the same training written bare in PyTorch, epoch by epoch.

The bare loop (`BareTrainer`) knows nothing of mvkt_ray but the network: its batches, the very ones
of the trial, are made before the clock starts; its losses are the fewest lines that compute the
same. It runs one epoch after each epoch of the trial, so that whatever else the machine does, it
does to both.

    python benchmarks/trial_overhead.py                       # synthetic recordings
    python benchmarks/trial_overhead.py --shards DIR --folds 1-7/8/9 --task superdiagnostic

A trial's epoch is everything from one report to the next: loading, training, validation, metric,
checkpoint. The bare loop's is training, validation and scikit-learn's AUROC. Processor time is what
to look at where other programs run: it does not count the time that they take away.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from mvkt_ray.config.data_config import FoldsConfig, ViewConfig
from mvkt_ray.config.recipes import Hyperparameters, StudentConfig, TeacherConfig
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.loader import EvalLoader, TrainLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import TrainingSplits, open_training_splits
from mvkt_ray.data.views import fit_view
from mvkt_ray.distill.knowledge import Knowledge, open_knowledge
from mvkt_ray.distill.knowledge_parts import ask_teacher
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import Arm, Condition, Decision, EpochMetrics, Trial
from mvkt_ray.training.seeds import derive_seed, trial_seed
from mvkt_ray.training.student import TrialInputs, run_trial
from mvkt_ray.training.teacher import TeacherJob, open_teacher, train_teacher

TEMPERATURE, KD_WEIGHT, CLT_WEIGHT, CLT_TEMPERATURE = 2.0, 1.0, 0.02, 0.07
N_NEGATIVES, PROJECTION_DIM, MOMENTUM = 1024, 128, 0.5
LEARNING_RATE, WEIGHT_DECAY, BATCH_SIZE = 5e-3, 1e-2, 128
OBJECTIVES = {
    "label": {"kd_weight": 0.0, "clt_weight": 0.0},
    "kd": {"kd_weight": KD_WEIGHT, "clt_weight": 0.0},
    "crd": {"kd_weight": KD_WEIGHT, "clt_weight": CLT_WEIGHT, "negatives": "any"},
}


@dataclass
class BareBatch:
    """What a bare loop is handed."""

    signal: Tensor
    labels: Tensor
    example: Tensor
    teacher_logits: Tensor
    teacher_embedding: Tensor


class BareTrainer:
    """The training as one would write it for one paper."""

    def __init__(
        self, network: nn.Module, objective: str, n_train: int, teacher_dim: int, total_steps: int
    ) -> None:
        self.network, self.objective, self.n_train = network, objective, n_train
        self.student_head = nn.Linear(network.embedding_dim, PROJECTION_DIM)  # type: ignore[arg-type]
        self.teacher_head = nn.Linear(teacher_dim, PROJECTION_DIM)
        banks = torch.randn(2, n_train, PROJECTION_DIM)
        self.student_bank, self.teacher_bank = functional.normalize(banks, dim=2)
        self.z: list[Tensor] = []
        modules = [network]
        modules += [self.student_head, self.teacher_head] if objective == "crd" else []
        parameters = [p for module in modules for p in module.parameters()]
        self.optimizer = torch.optim.AdamW(
            parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=LEARNING_RATE, total_steps=total_steps
        )

    def train(self, batches: list[BareBatch]) -> None:
        """Take the steps of one epoch."""
        self.network.train()
        for batch in batches:
            logits, embedding = self.network(batch.signal)
            loss = functional.binary_cross_entropy_with_logits(logits, batch.labels)
            if self.objective != "label":
                soft = torch.sigmoid(batch.teacher_logits / TEMPERATURE)
                kd = functional.binary_cross_entropy_with_logits(logits / TEMPERATURE, soft)
                loss = loss + KD_WEIGHT * TEMPERATURE**2 * kd
            if self.objective == "crd":
                loss = loss + CLT_WEIGHT * self.crd(embedding, batch)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()

    def crd(self, embedding: Tensor, batch: BareBatch) -> Tensor:
        """Contrastive representation distillation with uniform negatives."""
        student = functional.normalize(self.student_head(embedding), dim=1)
        teacher = functional.normalize(self.teacher_head(batch.teacher_embedding), dim=1)
        rows = torch.randint(self.n_train, (len(student), N_NEGATIVES + 1))
        rows[:, 0] = batch.example
        loss = torch.zeros(())
        pairs = [(student, self.teacher_bank), (teacher, self.student_bank)]
        for side, (anchor, bank) in enumerate(pairs):
            scores = torch.einsum("bp,bkp->bk", anchor, bank[rows]) / CLT_TEMPERATURE
            if len(self.z) == side:
                self.z.append((scores.exp().mean() * self.n_train).detach())
            p, noise = scores.exp() / self.z[side], N_NEGATIVES / self.n_train
            positive = (p[:, 0] / (p[:, 0] + noise)).log()
            loss = loss - (positive + (noise / (p[:, 1:] + noise)).log().sum(1)).mean()
        with torch.no_grad():
            for bank, new in ((self.student_bank, student), (self.teacher_bank, teacher)):
                moved = bank[batch.example] * MOMENTUM + new * (1 - MOMENTUM)
                bank[batch.example] = functional.normalize(moved, dim=1)
        return loss

    @torch.no_grad()
    def validate(self, windows: list[tuple[Tensor, Tensor]], labels: np.ndarray) -> float:
        """Return the macro AUROC of the highest window of each recording."""
        self.network.eval()
        scores = np.full(labels.shape, -np.inf, dtype=np.float32)
        for signal, example in windows:
            logits, _ = self.network(signal)
            np.maximum.at(scores, example.numpy(), torch.sigmoid(logits).numpy())
        defined = [c for c in range(labels.shape[1]) if 0 < labels[:, c].mean() < 1]
        return float(roc_auc_score(labels[:, defined], scores[:, defined], average="macro"))


def main() -> None:
    """Compare each objective in turn."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        for objective in arguments.objectives.split(","):
            print(compare(objective, arguments, Path(scratch)), flush=True)


def compare(objective: str, arguments: argparse.Namespace, scratch: Path) -> str:
    """Time a trial and, between its epochs, the bare loop; return one line."""
    setting = prepare(arguments, scratch)
    trial, inputs = setting.trial(objective), setting.inputs
    batches = setting.bare_batches(trial)
    windows, labels = setting.bare_windows()
    with torch.random.fork_rng(devices=[]):
        network = build_network(arguments.student, 1, labels.shape[1])
        bare = BareTrainer(
            network,
            objective,
            len(setting.splits.train),
            setting.knowledge.embedding_dim,
            arguments.epochs * setting.steps_per_epoch,
        )

    pairs: list[tuple[Seconds, Seconds]] = []
    scores: dict[str, float] = {}
    started = Seconds.now()

    def between_epochs(metrics: EpochMetrics) -> Decision:
        nonlocal started
        assert metrics.macro_auroc is not None
        trial_s = Seconds.now() - started
        epoch_batches = next(batches)
        started = Seconds.now()
        bare.train(epoch_batches)
        assert metrics.macro_auroc is not None  # by its inputs it is validated after each epoch
        scores.update(trial=metrics.macro_auroc, bare=bare.validate(windows, labels))
        pairs.append((trial_s, Seconds.now() - started))
        started = Seconds.now()
        return Decision.CONTINUE

    run_trial(trial, replace(inputs, trials=str(scratch / f"trials-{objective}")), between_epochs)
    lines = [
        f"{objective}: {arguments.student}, {len(setting.splits.train)} recordings, "
        f"{setting.steps_per_epoch} steps per epoch, {arguments.epochs} epochs; "
        f"last macro AUROC {scores['trial']:.3f} (bare {scores['bare']:.3f}); "
        f"first epoch, with opening, {pairs[0][0].wall:.2f} s"
    ]
    for clock in ("cpu", "wall"):
        # The first epoch holds the opening of files: once per trial, told apart above.
        times = [tuple(getattr(one, clock) for one in pair) for pair in pairs[1:]]
        trial_s, bare_s = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(bare / whole for whole, bare in times)
        lines.append(
            f"  {clock:4s} seconds per epoch: trial {trial_s:.3f}, bare {bare_s:.3f}; "
            f"median of bare/trial {ratio:.3f}"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class Seconds:
    """On the wall, and of the processor in this process."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> "Seconds":
        """Read both clocks."""
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A study to time a trial of: shards, splits, and the teacher's knowledge."""

    shards: Shards
    splits: TrainingSplits
    inputs: TrialInputs
    knowledge: Knowledge
    student: str
    lead: str

    @property
    def steps_per_epoch(self) -> int:
        """Of the trial, and so of the bare loop."""
        return max(1, len(self.splits.train) // BATCH_SIZE)

    def trial(self, objective: str) -> Trial:
        """Return a trial with the weights of an objective."""
        hyperparameters = replace(
            Hyperparameters(
                student=self.student,
                batch_size=BATCH_SIZE,
                learning_rate=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
                distill_temperature=TEMPERATURE,
                clt_temperature=CLT_TEMPERATURE,
                n_negatives=N_NEGATIVES,
                projection_dim=PROJECTION_DIM,
                bank_momentum=MOMENTUM,
            ),
            **OBJECTIVES[objective],
        )
        return Trial(
            number=0,
            condition=Condition.from_name(self.lead),
            arm=Arm.SEARCH,
            hyperparameters={
                name: getattr(hyperparameters, name) for name in hyperparameters.names()
            },
        )

    def bare_batches(self, trial: Trial) -> Iterator[list[BareBatch]]:
        """Yield, epoch by epoch, the batches that the trial draws."""
        loader = TrainLoader(
            self.shards,
            self.splits.train,
            self.inputs.view.with_leads(trial.condition.leads),
            batch_size=BATCH_SIZE,
            seed=derive_seed(trial_seed(self.inputs.study_seed, trial), 1),
        )
        for epoch in range(1, self.inputs.student.epochs + 1):
            yield [
                BareBatch(
                    batch.signal_BLS,
                    batch.labels_BC,
                    batch.example_B,
                    *self.knowledge.gather(batch.example_B, batch.crop_B),
                )
                for batch in loader.epoch(epoch)
            ]

    def bare_windows(self) -> tuple[list[tuple[Tensor, Tensor]], np.ndarray]:
        """Return the validation windows with their recordings, and the labels."""
        view = self.inputs.view.with_leads((self.lead,))
        loader = EvalLoader(self.shards, self.splits.val, view, batch_size=512)
        windows = [(batch.signal_BLS, batch.example_B) for batch in loader.batches()]
        return windows, self.splits.val.labels


def prepare(arguments: argparse.Namespace, scratch: Path) -> Setting:
    """Make, or open, all that a trial reads; what is there already is used again."""
    location = arguments.shards or str(scratch / "shards")
    if arguments.shards is None:
        ingest(Synthetic(n_recordings=arguments.recordings), location)
    shards = open_shards(location)
    train, val, test = (expand(text) for text in arguments.folds.split("/"))
    folds = FoldsConfig(train=train, val=val, test=test)
    task = shards.task(arguments.task) if arguments.task else next(iter(shards.tasks.values()))
    splits = open_training_splits(shards, task, folds)
    view = fit_view(shards, splits.train.rows, shards.leads, ViewConfig())
    job = TeacherJob(
        shards=location,
        task=task,
        folds=folds,
        min_likelihood=0.0,
        view=view,
        config=TeacherConfig(epochs=1),
        precision="auto",
    )
    train_teacher(job, str(scratch / "teacher"), lambda _metrics: None)
    teacher = open_teacher(str(scratch / "teacher"))
    if not (scratch / "knowledge").exists():
        write_knowledge(
            str(scratch / "knowledge"),
            ask=partial(ask_teacher, teacher.network, shards, view),
            shards=shards,
            split=splits.train,
            view=view,
            teacher_fingerprint=teacher.fingerprint,
            embedding_dim=teacher.network.embedding_dim,
        )
    inputs = TrialInputs(
        shards=location,
        task=task,
        folds=folds,
        min_likelihood=0.0,
        view=view,
        student=StudentConfig(epochs=arguments.epochs),
        knowledge=str(scratch / "knowledge"),
        teacher=str(scratch / "teacher"),
        study_seed=0,
        trials=str(scratch / "trials"),
        precision="float32",
    )
    return Setting(
        shards=shards,
        splits=splits,
        inputs=inputs,
        knowledge=open_knowledge(str(scratch / "knowledge"), shards=shards),
        student=arguments.student,
        lead=arguments.lead,
    )


def expand(text: str) -> tuple[int, ...]:
    """Read `1-7` or `9` or `1,2`."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--shards", help="a folder that mvkt ingest made; synthetic by default")
    parser.add_argument("--recordings", type=int, default=1000, help="synthetic recordings")
    parser.add_argument("--folds", default="1-8/9/10", help="train/val/test")
    parser.add_argument("--task", help="the first of the shards by default")
    parser.add_argument("--lead", default="II")
    parser.add_argument("--student", default="xresnet1d18")
    parser.add_argument("--objectives", default="label,kd,crd")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
