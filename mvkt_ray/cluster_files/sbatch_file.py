"""Slurm's batch scripts: their syntax, options, and requested nodes."""

import re
import shutil
import subprocess

from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.slots import Node

_SHORT = {
    "-A": "account", "-c": "cpus-per-task", "-C": "constraint", "-D": "chdir", "-e": "error",
    "-G": "gpus", "-J": "job-name", "-n": "ntasks", "-N": "nodes", "-o": "output",
    "-p": "partition", "-q": "qos", "-t": "time",
}  # fmt: skip
_OPTIONS = (
    *_SHORT.values(), "begin", "comment", "cpus-per-gpu", "dependency", "exclude", "exclusive",
    "export", "gpus-per-node", "gpus-per-task", "gres", "hint", "kill-on-invalid-dep", "licenses",
    "mail-type", "mail-user", "mem", "mem-per-cpu", "mem-per-gpu", "no-kill", "no-requeue",
    "nodelist", "ntasks-per-node", "open-mode", "prefer", "propagate", "requeue", "reservation",
    "signal", "switches", "threads-per-core", "tmp", "wait-all-nodes",
)  # fmt: skip
_TIME = re.compile(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}")
_GPUS = re.compile(r"(?:gpu:)?(?:(?P<kind>[A-Za-z][\w.-]*):)?(?P<count>\d+)")
_MEMORY = re.compile(r"(?P<count>\d+)(?P<unit>[KMGT]?)B?", re.IGNORECASE)
_GIB = {"K": 2**-20, "M": 2**-10, "": 2**-10, "G": 1.0, "T": 2.0**10}


def is_batch_script(text: str) -> bool:
    """Whether a text is a batch script: it begins with `#!`, and has `#SBATCH`."""
    return text.startswith("#!") and "#SBATCH" in text


def sbatch_groups(text: str, origin: str) -> list[NodeGroup]:
    """Check a batch script, and return its nodes as one group.

    Raises:
        ConfigError: bash cannot parse the script, or an option is unknown, wrong, or too late.
    """
    _check_syntax(text, origin)
    options = _options(text, origin)
    if "time" in options and not _TIME.fullmatch(options["time"]):
        raise ConfigError(
            f"{origin}: --time={options['time']} is not a time; write minutes, HH:MM:SS or "
            "DAYS-HH:MM:SS."
        )
    tasks = _count(options, "ntasks-per-node", 1, origin)
    n_nodes = _count(options, "nodes", 1, origin)
    gpus, kind = _gpus(options, origin)
    return [
        NodeGroup(
            node=Node(
                group="node",
                cpus=_count(options, "cpus-per-task", 1, origin) * tasks,
                gpus=gpus,
                accelerator_type=kind,
                memory_gib=_memory_gib(options, origin),
            ),
            min_nodes=n_nodes,
            max_nodes=n_nodes,
        )
    ]


def _check_syntax(text: str, origin: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        return
    done = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(f"{origin}: bash cannot read it: {done.stderr.strip()}")


def _options(text: str, origin: str) -> dict[str, str]:
    found: dict[str, str] = {}
    has_command = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#SBATCH"):
            if has_command:
                raise ConfigError(
                    f"{origin}, line {number}: Slurm ignores #SBATCH after the first command. "
                    "Move the line up."
                )
            name, value = _option(line, f"{origin}, line {number}")
            found[name] = value
        elif line.strip() and not line.startswith("#"):
            has_command = True
    return found


def _option(line: str, origin: str) -> tuple[str, str]:
    words = line.removeprefix("#SBATCH").partition(" #")[0].split(maxsplit=1)
    first, rest = ([*words, "", ""])[:2]
    name, _, value = first.partition("=")
    name = _SHORT.get(name, name.removeprefix("--"))
    if name not in _OPTIONS:
        flags = [f"--{option}" for option in _OPTIONS]
        hint = did_you_mean(f"--{name}", flags, otherwise="see `man sbatch`.")
        raise ConfigError(f"{origin}: sbatch has no option {first!r}; {hint}")
    return name, (value or rest).strip()


def _count(options: dict[str, str], name: str, default: int, origin: str) -> int:
    text = options.get(name, str(default)).partition("-")[0]
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{origin}: --{name}={options[name]} must be a number above 0.")
    return int(text)


def _gpus(options: dict[str, str], origin: str) -> tuple[int, str | None]:
    """Return GPUs of a node, and Ray's name of their type, which is Slurm's in capitals."""
    name = next((key for key in ("gpus-per-node", "gres") if key in options), None)
    if name is None:
        return 0, None
    found = _GPUS.fullmatch(options[name])
    if found is None:
        raise ConfigError(
            f"{origin}: --{name}={options[name]} does not name GPUs; write gpu:2 or gpu:a100:2."
        )
    kind = found["kind"]
    return int(found["count"]), kind.upper() if kind and kind != "gpu" else None


def _memory_gib(options: dict[str, str], origin: str) -> float | None:
    text = options.get("mem")
    if text in (None, "0"):  # 0 asks for all memory of the node
        return None
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise ConfigError(f"{origin}: --mem={text} is not a size; write 64G.")
    return int(found["count"]) * _GIB[found["unit"].upper()]
