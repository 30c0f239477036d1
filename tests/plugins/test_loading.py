"""What a plug-in offers is imported when it is named; whatever is wrong is one paragraph."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.tasks import plugin_task
from mvkt_ray.distill.both_say import BothSay
from mvkt_ray.distill.plugged_loss import plugged_loss
from mvkt_ray.errors import ConfigError
from mvkt_ray.models.network_table import network_names
from mvkt_ray.models.networks import build_network
from mvkt_ray.models.plugged_network import try_plugin
from mvkt_ray.plugins.entry_points import GROUPS, Kind, find_plugin
from mvkt_ray.plugins.loading import load
from tests.installed_plugins import write_package

NETS = """
from torch import nn

class Net(nn.Module):
    def __init__(self, n_leads, n_channels):
        super().__init__()
        self.layer = nn.Conv1d(n_leads, 4, 5)
        self.n_channels = n_channels

    def forward(self, signal):
        return self.layer(signal)

def right(n_leads): return Net(n_leads, 4)
def silent(n_leads): return Net(n_leads, None)
def lying(n_leads): return Net(n_leads, 5)
def nothing(n_leads): return None
def failing(n_leads): raise ValueError("no such width")
def keyword(n_leads, colour): return Net(n_leads, 4)
number = 7
"""


@pytest.fixture
def nets(site: Path) -> None:
    names = ("right", "silent", "lying", "nothing", "failing", "keyword", "number", "absent")
    values = {name: f"some_nets:{name}" for name in names}
    write_package(site, "some-nets", {GROUPS["network"]: values}, module=NETS)


@pytest.mark.usefixtures("nets")
def test_a_network_that_works_is_built_and_has_one_size() -> None:
    network = build_network("right", 2, 3)
    assert network.embedding_dim == 8
    assert "right" in network_names()
    plugin = find_plugin("network", "right", ())
    assert plugin is not None
    try_plugin(plugin, 2, 100, {})


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("silent", "n_channels is None"),
        ("lying", r"gives \[2, 4, 96\] where n_channels is 5"),
        ("nothing", "returns NoneType"),
        ("failing", "no such width"),
        ("keyword", "colour"),
        ("number", "is 7"),
        ("absent", "AttributeError"),
    ],
)
def test_what_is_no_network_is_said_with_its_package(name: str, what: str) -> None:
    plugin = find_plugin("network", name, ())
    assert plugin is not None
    with pytest.raises(ConfigError, match=what) as caught:
        try_plugin(plugin, 2, 100, {})
    message = str(caught.value)
    assert f"the network '{name}' of some-nets 1.0" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("kind", "module", "what"),
    [
        ("network", "import no_such_module", "ModuleNotFoundError: No module named 'no_such"),
        ("loss", "1 / 0", "ZeroDivisionError"),
        ("loss", "raise SystemExit(3)", "SystemExit"),
        ("loss", "this is no Python", "SyntaxError"),
        ("loss", "it = 3", "must be a function"),
        ("source", "it = object", "must be a frozen dataclass"),
        ("source", "import dataclasses as d\n@d.dataclass\nclass it: x: int", "`location`"),
        (
            "source",
            "import dataclasses as d\n@d.dataclass\nclass it:\n  location: str\n  read = tasks = 1",
            "lacks has_folds, references and not_listed",
        ),
        ("task", "it = ['MI']", "must be a mapping"),
        ("task", "it = {'MI': 'IMI'}", "must be a mapping"),
        ("task", "it = {'MI': [3]}", "must be a mapping"),
    ],
)
def test_a_broken_plugin_that_is_named_is_one_paragraph(
    site: Path, kind: Kind, module: str, what: str, request: pytest.FixtureRequest
) -> None:
    name = f"broken-{abs(hash(request.node.name))}"  # Modules stay imported in this process.
    own = name.replace("-", "_")
    write_package(site, name, {GROUPS[kind]: {"it": f"{own}:it"}}, module=module)
    use = {
        "network": lambda: build_network("it", 1, 2),
        "loss": lambda: plugged_loss("it"),
        "source": lambda: open_source("it", "", {}),
        "task": lambda: plugin_task("it", ()),
    }
    with pytest.raises(ConfigError, match=what) as caught:
        use[kind]()
    assert f"the {kind} 'it' of {name} 1.0" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "what"), [("said.student_logits_BC", r"a tensor \[6, 4\]"), ("0.5", "returns 0.5")]
)
def test_a_loss_that_gives_no_scalar_is_named_when_it_is_asked(
    site: Path, value: str, what: str, said: BothSay
) -> None:
    own = f"wide_loss_{len(value)}"
    values = {"wide": f"{own}:wide"}
    module = f"def wide(said): return {value}"
    write_package(site, own, {GROUPS["loss"]: values}, module=module)
    with pytest.raises(ConfigError, match=what):
        plugged_loss("wide")(said)


def test_an_import_is_made_once(site: Path) -> None:
    module = "import itertools\ncount = itertools.count()\ndef it(said): return next(count)"
    write_package(site, "once", {GROUPS["loss"]: {"once": "once:it"}}, module=module)
    plugin = find_plugin("loss", "once", ())
    assert plugin is not None
    assert load(plugin) is load(plugin)


def test_unknown_names_are_answered_with_those_of_plugins_too(site: Path) -> None:
    groups = ("network", "source", "loss", "task")
    write_package(site, "near", {GROUPS[kind]: {"wavelet": "near:x"} for kind in groups})
    for use in (
        lambda: build_network("wavelets", 1, 2),
        lambda: open_source("wavelets", "", {}),
        lambda: plugged_loss("wavelets"),
    ):
        with pytest.raises(ConfigError, match="did you mean 'wavelet'"):
            use()


def test_the_verb_lists_what_is_there_and_tries_it_if_asked(site: Path) -> None:
    broken = {GROUPS["loss"]: {"bad": "listed:nothing"}, GROUPS["network"]: {"xresnet1d18": "x:y"}}
    write_package(site, "listed", broken, version="4.0")
    listed = CliRunner().invoke(app, ["plugins"])
    assert "listed 4.0" in listed.stdout
    assert "mvkt-ray" in listed.stdout, "a name of ours"
    assert listed.exit_code == 2
    assert "AttributeError" not in listed.stdout
    checked = CliRunner().invoke(app, ["plugins", "--check", "--json"])
    assert checked.exit_code == 2
    assert "AttributeError" in checked.stdout


def test_the_verb_says_that_there_is_none(site: Path) -> None:
    listed = CliRunner().invoke(app, ["plugins"])
    assert (listed.exit_code, "No installed package" in listed.stdout) == (0, True)


STUDY = """
name: planned
data: {{source: synthetic, source_options: {{n_recordings: 40}}, task: synthetic}}
teacher: {{network: sepconv1d_tiny, epochs: 1}}
space: {space}
search: {{leads: [II], n_trials: 4}}
"""


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("{student: sepconv1d_tiny}", ""),
        (
            "{plugin_loss: broken, plugin_weight: 0.5}",
            "the loss 'broken' of half-installed 1.0 cannot be imported from half_installed:it: "
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("{plugin_weight: 0.5}", "plugin_loss is 'none'"),
        ("{plugin_loss: brokn, plugin_weight: 0.5}", "did you mean 'broken'"),
    ],
)
def test_a_broken_plugin_harms_the_study_that_names_it_and_no_other(
    site: Path, tmp_path: Path, space: str, said: str
) -> None:
    values = {GROUPS["loss"]: {"broken": "half_installed:it"}}
    write_package(site, "half-installed", values, module="import no_such_module")
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.format(space=space))
    out = tmp_path / "out"
    words = ["search", str(file), "--out", str(out), "--in-process", "--dry-run"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == (2 if said else 0), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error")]) == bool(
        said
    )
