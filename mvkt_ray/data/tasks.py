"""A task turns the label codes of recordings into the classes that a model learns.

Rule: a code that is present counts, at any likelihood, unless a least likelihood is asked for.
PTB-XL's form and rhythm codes nearly always carry 0, which means "unknown" there, not "absent".
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mvkt_ray.config.study_file import read_mapping
from mvkt_ray.data.identity import code_key
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean, nearest
from mvkt_ray.plugins.entry_points import find_plugin
from mvkt_ray.plugins.loading import load, unfit

_KEYS = ("name", "classes")
"""Of a user's task file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Classes, in the order of the logits, and the codes that belong to each."""

    name: str
    classes: tuple[str, ...]
    class_of_code: Mapping[str, tuple[str, ...]]
    """The classes of each code; a code may belong to several."""
    origin: str | None = None
    """The package and version of the plug-in that offers it."""

    def __post_init__(self) -> None:
        if not self.classes:
            raise ConfigError(f"the task {self.name!r} has no classes; it needs at least one.")
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise ConfigError(
                f"the task {self.name!r} names the class {twice[0]!r} twice; give it once, with "
                "all its codes."
            )
        used = {name for names in self.class_of_code.values() for name in names}
        wrong = sorted(used.symmetric_difference(self.classes))
        if wrong:
            raise ConfigError(
                f"the task {self.name!r} lacks the codes of class {wrong[0]!r}, or has codes for "
                "a class that it does not list; give every class its codes."
            )

    @classmethod
    def of_classes(
        cls, name: str, codes_of_class: Mapping[str, Iterable[str]], *, sort: bool = True
    ) -> "Task":
        """Make a task from the codes of each class; classes in sorted order, or as they come."""
        class_of_code: dict[str, tuple[str, ...]] = {}
        for class_name, codes in codes_of_class.items():
            for code in dict.fromkeys(codes):
                class_of_code[code] = (*class_of_code.get(code, ()), class_name)
        classes = sorted(codes_of_class) if sort else list(codes_of_class)
        return cls(name=name, classes=tuple(classes), class_of_code=class_of_code)

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain JSON values."""
        origin = {} if self.origin is None else {"origin": self.origin}
        return {
            "name": self.name,
            "classes": list(self.classes),
            "class_of_code": {code: list(names) for code, names in self.class_of_code.items()},
            **origin,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Task":
        """Return the task that `to_json` described."""
        return cls(
            name=value["name"],
            classes=tuple(value["classes"]),
            class_of_code={code: tuple(names) for code, names in value["class_of_code"].items()},
            origin=value.get("origin"),
        )

    def classes_of(self, code: str) -> tuple[str, ...]:
        """Return the classes of a code, also where it is spelled otherwise (see `code_key`)."""
        found = self.class_of_code.get(code)
        if found is not None:
            return found
        key = code_key(code)
        return tuple(
            dict.fromkeys(
                name
                for other, names in self.class_of_code.items()
                if code_key(other) == key
                for name in names
            )
        )

    def labels(
        self,
        codes: Sequence[Sequence[str]],
        likelihoods: Sequence[Sequence[float]] | None = None,
        min_likelihood: float = 0.0,
    ) -> np.ndarray:
        """Return float32 `[n_recordings, n_classes]`: 1 where a recording has a code of the class.

        Args:
            codes: of each recording.
            likelihoods: of each code, 0 to 100; needed only with `min_likelihood`.
            min_likelihood: codes below it do not count.
        """
        index_of_class = {name: index for index, name in enumerate(self.classes)}
        columns_of: dict[str, list[int]] = {}
        labels = np.zeros((len(codes), len(self.classes)), dtype=np.float32)
        rows: list[int] = []
        columns: list[int] = []
        if min_likelihood > 0 and likelihoods is None:
            raise ValueError("min_likelihood needs the likelihoods of the codes")
        for row, row_codes in enumerate(codes):
            for position, code in enumerate(row_codes):
                if code not in columns_of:
                    columns_of[code] = [index_of_class[name] for name in self.classes_of(code)]
                found = columns_of[code]
                if likelihoods is not None and likelihoods[row][position] < min_likelihood:
                    continue
                columns += found
                rows += [row] * len(found)
        labels[rows, columns] = 1.0
        return labels


def read_task(path: str | Path) -> Task:
    """Read a user's task: `name`, and `classes` with the list of codes of each.

        name: ischaemia
        classes:
          MI: [IMI, AMI, ASMI]
          STTC: [NDT, ISC_]

    Classes keep the order of the file.

    Raises:
        ConfigError: when the file is missing or is not of this form.
    """
    shape = "a task file has `name: text` and `classes: {CLASS: [code, ...]}`"
    value = read_mapping(path, f"Give the name of a task that the data has, or a file: {shape}.")
    for key in value:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS)
            raise ConfigError(f"{path}: unknown key {key!r}: {shape}; {hint}")
    name, classes = value.get("name"), value.get("classes")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{path}: `name` is {name!r}; {shape}.")
    if not isinstance(classes, Mapping) or not classes:
        raise ConfigError(f"{path}: `classes` is {classes!r}; {shape}.")
    codes_of_class: dict[str, list[str]] = {}
    for class_name, codes in classes.items():
        if not isinstance(class_name, str | int) or isinstance(class_name, bool):
            raise ConfigError(
                f"{path}: `classes` has the key {class_name!r}, which is not a name; YAML reads "
                "NO, ON and dates as something else, so put it in quotes."
            )
        if not isinstance(codes, list) or not codes:
            raise ConfigError(
                f"{path}: `classes.{class_name}` is {codes!r}; it must be a list of codes, for "
                f"example [{class_name}]."
            )
        for code in codes:
            if not isinstance(code, str | int) or isinstance(code, bool):
                raise ConfigError(
                    f"{path}: `classes.{class_name}` has {code!r}, which is not a code; YAML reads "
                    "NO, ON and dates as something else, so put it in quotes."
                )
        # SNOMED CT codes look like numbers to YAML.
        codes_of_class[str(class_name)] = [str(code) for code in codes]
    return Task.of_classes(name, codes_of_class, sort=False)


def plugin_task(name: str, own: Collection[str]) -> Task | None:
    """Return the task that a plug-in offers under a name: a mapping from each class to its codes.

    Args:
        name: As a study gives it.
        own: Names of the tasks that the data have themselves.

    Returns:
        None where no plug-in offers it. Classes are in the order of the mapping.

    Raises:
        ConfigError: Several packages offer it, or the data have it, or it cannot be used.
    """
    plugin = find_plugin("task", name, own)
    if plugin is None:
        return None
    value = load(plugin)
    should = "must be a mapping from the name of each class to the list of its codes"
    if not isinstance(value, Mapping) or not value:
        raise unfit(plugin, f"is {value!r}", should)
    codes_of_class: dict[str, list[str]] = {}
    for class_name, codes in value.items():
        is_list = isinstance(codes, Sequence) and not isinstance(codes, str)
        if not (isinstance(class_name, str) and is_list and codes and _are_texts(codes)):
            raise unfit(plugin, f"has {class_name!r}: {codes!r}", should)
        codes_of_class[class_name] = list(codes)
    task = Task.of_classes(name, codes_of_class, sort=False)
    return replace(task, origin=plugin.origin)


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def unknown_codes(task: Task, counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return the codes that a task names and no recording has, in the task's order."""
    there = {code_key(code) for code, n in counts.items() if n}
    return tuple(code for code in task.class_of_code if code_key(code) not in there)


def unknown_codes_message(task: Task, counts: Mapping[str, int]) -> str | None:
    """Say which codes of a task no recording has, with the nearest that occur; None if all do."""
    unknown = unknown_codes(task, counts)
    if not unknown:
        return None
    parts: list[str] = []
    for code in unknown:
        near = nearest(code, (name for name, n in counts.items() if n))
        parts.append(f"{code!r} (nearest: {near!r})" if near else repr(code))
    return (
        f"the task {task.name!r} names codes that no recording has: {', '.join(parts)}. Correct "
        "or remove them in the task's file; `mvkt inspect` lists the codes that occur."
    )


def codes_without_class(tasks: Iterable[Task], counts: Mapping[str, int]) -> dict[str, int]:
    """Return the codes that occur but that no task knows, most frequent first."""
    known = {code_key(code) for task in tasks for code in task.class_of_code}
    left = {code: n for code, n in counts.items() if code_key(code) not in known and n}
    return dict(sorted(left.items(), key=lambda item: (-item[1], item[0])))
