"""The student of a trial: its network, its objective, and the batches that it learns from.

Reads: the teacher or its knowledge, where the student uses one of them.
"""

import torch
from torch import Tensor

from mvkt_ray.config.recipes import TEACHING_WEIGHTS, Hyperparameters
from mvkt_ray.distill.knowledge import open_knowledge, view_fingerprint
from mvkt_ray.distill.objective import Objective
from mvkt_ray.errors import ConfigError, StaleArtifactError
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import build_network
from mvkt_ray.training.guidance import (
    Lessons,
    with_knowledge,
    with_mixup,
    with_teacher,
    without_teacher,
)
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.process import seeded
from mvkt_ray.training.seeds import derive_seed
from mvkt_ray.training.students.opened_trial import OpenedTrial
from mvkt_ray.training.teacher import Teacher, open_teacher


def build_student(hyperparameters: Hyperparameters, n_leads: int, n_classes: int) -> Network:
    """Build the network of a student, with fresh weights from torch's global random state.

    Raises:
        ConfigError: There is no network of its name.
    """
    return build_network(
        hyperparameters.student,
        n_leads,
        n_classes,
        dropout=hyperparameters.dropout,
        width=hyperparameters.student_width,
        depth=hyperparameters.student_depth,
    )


def build_learner(opened: OpenedTrial) -> tuple[Learner, Lessons]:
    """Build a trial's student with its objective, fresh from its seed, and its batches.

    Raises:
        ConfigError: The student distils, and teacher or knowledge are not given.
        ArtifactError: Teacher or knowledge are missing, or were made from other inputs.
    """
    hyperparameters = opened.hyperparameters
    with seeded(derive_seed(opened.seed, 0)):
        n_leads, n_classes = len(opened.view.leads), len(opened.inputs.task.classes)
        network = build_student(hyperparameters, n_leads, n_classes)
    lessons, teacher_dim = _lessons(opened)
    if hyperparameters.mixup > 0:
        lessons = with_mixup(lessons, alpha=hyperparameters.mixup, seed=derive_seed(opened.seed, 4))
    objective = Objective(
        hyperparameters=hyperparameters,
        train_labels_NC=torch.from_numpy(opened.taught.labels),
        student_dim=network.embedding_dim,
        teacher_dim=teacher_dim,
        seed=derive_seed(opened.seed, 3),
        teacher_classifier_CD=_teacher_classifier(opened),
        n_finer=opened.n_finer,
        kd_class_weights_C=_kd_class_weights(opened),
    )
    return Learner(network, objective, bf16=opened.bf16), lessons


def _kd_class_weights(opened: OpenedTrial) -> Tensor | None:
    weights = opened.trial.kd_class_weights
    if not weights:
        return None
    of_classes = [weights[name] for name in opened.inputs.task.classes]
    return torch.tensor(of_classes, dtype=torch.float32, device=opened.device)


def _lessons(opened: OpenedTrial) -> tuple[Lessons, int]:
    """Return the batches, and the dimension of the teacher's embedding (0 without a teacher)."""
    inputs, loader = opened.inputs, opened.train_loader(opened.view)
    if not opened.hyperparameters.uses_teacher:
        return without_teacher(loader), 0
    if inputs.student.knowledge != "online":
        knowledge = open_knowledge(
            _required(_knowledge_of(opened), "knowledge", "mvkt cache"),
            shards=opened.shards,
            teacher=opened.facts["assistant" if opened.assistant else "teacher"],
            split=opened.taught,
            view=opened.view,
            per_recording=inputs.student.knowledge == "record",
        )
        return with_knowledge(loader, knowledge, opened.device), knowledge.embedding_dim
    teacher = _teacher(opened)
    if view_fingerprint(teacher.view) != view_fingerprint(inputs.view):
        raise StaleArtifactError(
            f"The teacher {inputs.teacher} was trained on {teacher.view}, but is used with "
            f"{inputs.view}. Use its folds and view, or train another teacher."
        )
    network = teacher.network.to(opened.device)
    teacher_loader = opened.train_loader(inputs.view.with_leads(teacher.view.leads))
    lessons = with_teacher(loader, teacher_loader, network, bf16=opened.bf16)
    return lessons, network.embedding_dim


def _teacher_classifier(opened: OpenedTrial) -> Tensor | None:
    """Return the weights of the teacher's classifier, if a loss uses them."""
    if opened.hyperparameters.label_embedding_weight == 0:
        return None
    return _teacher(opened).network.classifier_weight


def _teacher(opened: OpenedTrial) -> Teacher:
    """Open the student's assistant, if it has one, else the teacher."""
    location = opened.assistant.teacher if opened.assistant else opened.inputs.teacher
    return open_teacher(
        _required(location, "teacher", "mvkt train-teacher"),
        shards=opened.shards,
        task=opened.inputs.task,
    )


def _knowledge_of(opened: OpenedTrial) -> str | None:
    """Return the location of the assistant's knowledge, if there is one, else the teacher's."""
    return opened.assistant.knowledge if opened.assistant else opened.inputs.knowledge


def _required(location: str | None, kind: str, command: str) -> str:
    if location is None:
        raise ConfigError(
            f"The trial distils ({', '.join(TEACHING_WEIGHTS)}: one is above 0), but no {kind} is "
            f"given. Give the output of `{command}`, or set all of these weights to 0."
        )
    return location
