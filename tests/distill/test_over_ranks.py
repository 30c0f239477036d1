"""Two ranks with half a batch each compute what one rank computes with the whole batch.

Two processes (gloo) run this very file once for all cases; the tests compare what they saved with
the same functions run here, in one process. Parts of two sizes are used on purpose.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional

from mvkt_ray.config.recipes import MORE_TEACHING_WEIGHTS, PLUGIN_WEIGHT, Hyperparameters
from mvkt_ray.distill.losses.clt_infonce import clt_infonce
from mvkt_ray.distill.objective import CLT_LOSSES, Objective
from mvkt_ray.models.collectives import (
    gather_rows,
    rank,
    rows_per_rank,
    share_of_mean,
    sum_over_ranks,
    world_size,
)
from mvkt_ray.models.networks import build_network
from mvkt_ray.models.sync_batch_norm import sync_batch_norm

N, C, J = 60, 4, 10
UNEVEN, EVEN = (6, 4), (5, 5)
LABELS_NC = (torch.rand(N, C, generator=torch.Generator().manual_seed(0)) < 0.4).float()


def _part(joined: Tensor, rows: tuple[int, int]) -> Tensor:
    """This rank's rows of a joined batch; all of them where there is one rank."""
    return joined if world_size() == 1 else joined.split(rows)[rank()]


def _as_ddp(tensors: list[Tensor]) -> list[Tensor]:
    """Gradients averaged over ranks, as DDP leaves them."""
    averaged = [tensor.detach().clone() for tensor in tensors]
    if world_size() > 1:
        for tensor in averaged:
            dist.all_reduce(tensor)
            tensor /= world_size()
    return averaged


def _mean_over_ranks(value: Tensor) -> Tensor:
    return _as_ddp([value])[0]


def _joined(value: Tensor, rows: tuple[int, int]) -> Tensor:
    return gather_rows(value.detach(), list(rows)).detach()


def _gradients(module: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in module.parameters() if parameter.grad is not None]


def case_gather(rows: tuple[int, int]) -> dict[str, Tensor]:
    """A function of the joined rows that treats each row differently."""
    values_J3 = torch.randn(J, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights_J3 = torch.arange(J * 3, dtype=torch.float64).view(J, 3)
    own_B3 = _part(values_J3, rows).clone().requires_grad_()
    joined_J3 = gather_rows(own_B3, rows_per_rank(len(own_B3), own_B3.device))
    (joined_J3**2 * weights_J3).sum().backward()
    assert own_B3.grad is not None
    # All ranks computed the same loss: DDP's division by their number is part of the contract.
    gradient_J3 = _joined(own_B3.grad / world_size(), rows)
    return {"joined": joined_J3.detach(), "gradient": gradient_J3}


def case_sum(rows: tuple[int, int]) -> dict[str, Tensor]:
    """The square of a sum over all rows."""
    values_J = torch.arange(J, dtype=torch.float64)
    own_B = _part(values_J, rows).clone().requires_grad_()
    total = sum_over_ranks(own_B.sum())
    (total**2).backward()
    assert own_B.grad is not None
    return {"total": total.detach(), "gradient": _joined(own_B.grad / world_size(), rows)}


def case_batch_norm(rows: tuple[int, int]) -> dict[str, Tensor]:
    """Two normalised layers, three steps, on features far from zero."""
    torch.manual_seed(0)
    network = sync_batch_norm(
        nn.Sequential(
            nn.BatchNorm2d(2), nn.Conv2d(2, 3, (1, 3)), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(),
            nn.Linear(3 * 6, 5), nn.Unflatten(1, (5, 1, 1)), nn.BatchNorm2d(5), nn.Flatten(),
        )
    )  # fmt: skip
    results: dict[str, Tensor] = {}
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        signal = _part(3 * torch.randn(J, 2, 1, 8, generator=generator) + 10, rows).requires_grad_()
        target = _part(torch.randn(J, 5, generator=generator), rows)
        network.zero_grad()
        output = network(signal)
        share = share_of_mean(rows_per_rank(len(signal), signal.device))
        ((output - target).square().mean() * share).backward()
        assert signal.grad is not None
        results[f"output {step}"] = _joined(output, rows)
        results[f"signal {step}"] = _joined(signal.grad / world_size(), rows)
        for number, gradient in enumerate(_as_ddp(_gradients(network))):
            results[f"gradient {step} {number}"] = gradient
    return results | {f"state {name}": value for name, value in network.state_dict().items()}


def case_whole_network(rows: tuple[int, int]) -> dict[str, Tensor]:
    """A network of the table with its many normalisations, in float64."""
    torch.manual_seed(0)
    network = sync_batch_norm(build_network("xresnet1d18", 1, C)).double()
    signal_JLS = torch.randn(J, 1, 64, generator=torch.Generator().manual_seed(0)).double()
    logits_BC, _ = network(_part(signal_JLS, rows))
    share = share_of_mean(rows_per_rank(len(logits_BC), logits_BC.device))
    labels_BC = _part(LABELS_NC[:J].double(), rows)
    (functional.binary_cross_entropy_with_logits(logits_BC, labels_BC) * share).backward()
    gradients = _as_ddp(_gradients(network))
    return {"logits": _joined(logits_BC, rows)} | {str(i): g for i, g in enumerate(gradients)}


def case_infonce(rows: tuple[int, int]) -> dict[str, Tensor]:
    """The loss itself, with gradients to both projections."""
    generator = torch.Generator().manual_seed(2)
    results: dict[str, Tensor] = {}
    for rule in ("disjoint", "first_label", "any", "authors"):
        student_JP, teacher_JP = functional.normalize(
            torch.randn(2, J, 6, generator=generator), dim=2
        )
        student_BP = _part(student_JP, rows).clone().requires_grad_()
        teacher_BP = _part(teacher_JP, rows).clone().requires_grad_()
        loss = clt_infonce(student_BP, teacher_BP, _part(LABELS_NC[:J], rows), 0.1, rule)
        loss.backward()
        assert student_BP.grad is not None
        assert teacher_BP.grad is not None
        results[f"{rule} loss"] = loss.detach()
        results[f"{rule} student"] = _joined(student_BP.grad / world_size(), rows)
        results[f"{rule} teacher"] = _joined(teacher_BP.grad / world_size(), rows)
    return results


@contextlib.contextmanager
def _plugin_installed() -> Iterator[None]:
    """Have a package with a loss while this is entered, as pip would leave it."""
    with tempfile.TemporaryDirectory() as site:
        about = Path(site) / "over_ranks-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Name: over-ranks\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[mvkt_ray.losses]\nsquare = over_ranks:square\n")
        distance = "(said.student_logits_BC - said.teacher_logits_BC)"
        text = f"def square(said): return {distance}.square().mean()\n"
        (Path(site) / "over_ranks.py").write_text(text)
        sys.path.insert(0, site)
        try:
            yield
        finally:
            sys.path.remove(site)


def case_objective(rows: tuple[int, int]) -> dict[str, Tensor]:
    """Four steps of the whole objective, its heads learning, the loss of a plug-in in it."""
    with _plugin_installed():
        return _objective_steps(rows)


def _objective_steps(rows: tuple[int, int]) -> dict[str, Tensor]:
    results: dict[str, Tensor] = {}
    for clt_loss in CLT_LOSSES:
        objective = Objective(
            hyperparameters=Hyperparameters(
                clt_loss=clt_loss,  # type: ignore[arg-type]
                n_negatives=7,
                projection_dim=5,
                plugin_loss="square",
                **dict.fromkeys([*MORE_TEACHING_WEIGHTS, PLUGIN_WEIGHT], 0.7),  # type: ignore[arg-type]
            ),
            train_labels_NC=LABELS_NC,
            student_dim=6,
            teacher_dim=8,
            seed=3,
            teacher_classifier_CD=torch.randn(C, 8, generator=torch.Generator().manual_seed(1)),
        )
        optimizer = torch.optim.SGD(objective.parameters(), lr=0.3)
        for step in range(4):
            generator = torch.Generator().manual_seed(step)
            example_J = torch.randperm(N, generator=generator)[:J]
            shapes = {"s_logits": C, "s_embedding": 6, "t_logits": C, "t_embedding": 8}
            batch = {
                name: _part(torch.randn(J, dim, generator=generator), rows)
                for name, dim in shapes.items()
            }
            embedding_BD = batch["s_embedding"].requires_grad_()
            logits_BC = batch["s_logits"].requires_grad_()
            classifier_CS = torch.randn(C, 6, generator=generator).requires_grad_()
            terms = objective(
                logits_BC,
                embedding_BD,
                _part(LABELS_NC[example_J], rows),
                _part(example_J, rows),
                batch["t_logits"],
                batch["t_embedding"],
                student_classifier_CS=classifier_CS,
            )
            objective.zero_grad()
            terms.total.backward()
            parameters = list(objective.parameters())
            averaged = _as_ddp(_gradients(objective))
            for parameter, gradient in zip(parameters, averaged, strict=True):
                parameter.grad = gradient
            optimizer.step()
            assert embedding_BD.grad is not None
            key = f"{clt_loss} {step}"
            results[f"{key} embedding"] = _joined(embedding_BD.grad / world_size(), rows)
            assert logits_BC.grad is not None
            assert classifier_CS.grad is not None
            results[f"{key} classifier"] = _as_ddp([classifier_CS.grad])[0]
            results[f"{key} logits"] = _joined(logits_BC.grad / world_size(), rows)
            for name in objective.term_names:
                results[f"{key} {name}"] = _mean_over_ranks(getattr(terms, name))
        for name, value in objective.state_dict().items():
            if isinstance(value, Tensor):
                results[f"{clt_loss} state {name}"] = value.clone()
            else:
                results[f"{clt_loss} generator"] = value["generator"].clone()
    return results


def case_training(rows: tuple[int, int]) -> dict[str, Tensor]:
    """A student and its objective, each in a real DistributedDataParallel, for eight steps."""
    torch.manual_seed(0)
    student: nn.Module = sync_batch_norm(build_network("sepconv1d_tiny", 1, C))
    objective: nn.Module = Objective(
        hyperparameters=Hyperparameters(n_negatives=7, projection_dim=5, clt_weight=0.1),
        train_labels_NC=LABELS_NC,
        student_dim=96,
        teacher_dim=8,
        seed=3,
    )
    if world_size() > 1:
        student = nn.parallel.DistributedDataParallel(student, broadcast_buffers=False)
        objective = nn.parallel.DistributedDataParallel(objective, broadcast_buffers=False)
    optimizer = torch.optim.SGD([*student.parameters(), *objective.parameters()], lr=0.05)
    totals: list[Tensor] = []
    for step in range(8):
        generator = torch.Generator().manual_seed(step)
        example_J = torch.randperm(N, generator=generator)[:J]
        signal_JLS = torch.randn(J, 1, 50, generator=generator)
        teacher_J = torch.randn(J, C + 8, generator=generator)
        logits_BC, embedding_BD = student(_part(signal_JLS, rows))
        terms = objective(
            logits_BC,
            embedding_BD,
            _part(LABELS_NC[example_J], rows),
            _part(example_J, rows),
            *_part(teacher_J, rows).split([C, 8], dim=1),
        )
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
        totals.append(_mean_over_ranks(terms.total))
    return {"totals": torch.stack(totals)}


CASES: dict[str, Callable[[tuple[int, int]], dict[str, Tensor]]] = {
    "gather": case_gather,
    "sum": case_sum,
    "batch_norm": case_batch_norm,
    "whole_network": case_whole_network,
    "infonce": case_infonce,
    "objective": case_objective,
    "training": case_training,
}


def _all_cases() -> dict[str, dict[str, Tensor]]:
    return {f"{name} {rows}": case(rows) for name, case in CASES.items() for rows in (UNEVEN, EVEN)}


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two ranks computed."""
    folder = tmp_path_factory.mktemp("ranks")
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, str(number), str(folder)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=400)[0] for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    for process, output in zip(ranks, outputs, strict=True):
        assert process.returncode == 0, output
    return [torch.load(folder / f"{number}.pt", weights_only=True) for number in range(2)]


@pytest.mark.parametrize("rows", [UNEVEN, EVEN], ids=["uneven", "even"])
@pytest.mark.parametrize("name", CASES)
def test_two_ranks_compute_what_one_rank_computes(
    name: str, rows: tuple[int, int], two_ranks: list[dict[str, dict[str, Tensor]]]
):
    expected = CASES[name](rows)
    for results in two_ranks:
        seen = results[f"{name} {rows}"]
        assert set(seen) == set(expected)
        for key, value in expected.items():
            torch.testing.assert_close(
                seen[key], value, rtol=1e-5, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}"
            )


@pytest.mark.parametrize("rows", [UNEVEN, EVEN], ids=["uneven", "even"])
def test_banks_and_random_states_are_bit_equal_on_both_ranks(
    rows: tuple[int, int], two_ranks: list[dict[str, dict[str, Tensor]]]
):
    first, second = (results[f"objective {rows}"] for results in two_ranks)
    states = [key for key in first if "state" in key or "generator" in key]
    assert {"crd state clt_loss.student_bank_NP", "crd generator"} <= set(states)
    for key in states:
        assert torch.equal(first[key], second[key]), key


def _main(number: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=number, world_size=2
    )
    results: Any = _all_cases()
    torch.save(results, folder / f"{number}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    _main(int(sys.argv[1]), Path(sys.argv[2]))
