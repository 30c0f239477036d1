"""What answers to those who send jobs: dashboards of other versions, and servers that are none."""

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import ray
from ray.autoscaler._private.autoscaler import AutoscalerSummary
from ray.autoscaler._private.node_provider_availability_tracker import (
    NodeAvailabilityRecord,
    NodeAvailabilitySummary,
    UnavailableNodeInformation,
)
from ray.dashboard.utils import to_google_style

from mvkt_ray import __version__
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.connecting import tokens
from mvkt_ray.on_ray.jobs import cluster_view
from mvkt_ray.on_ray.jobs.cluster_view import clock_problems, growth_problems
from mvkt_ray.on_ray.jobs.dashboard_client import dashboard_url
from mvkt_ray.on_ray.jobs.jobs_api import open_jobs
from tests.ports import free_port


@contextmanager
def dashboard(answers: dict[str, Any]) -> Iterator[str]:
    """Serve JSON, or text, by path; what is not there is not found."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write((answer if isinstance(answer, str) else json.dumps(answer)).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def answers_of(ray_version: str, mvkt_version: str | None) -> dict[str, Any]:
    labels = {} if mvkt_version is None else {"mvkt-ray/version": mvkt_version}
    nodes = [{"is_head_node": True, "labels": labels}]
    return {
        "/api/version": {"version": "4", "ray_version": ray_version},
        "/api/v0/nodes": {"data": {"result": {"result": nodes}}},
    }


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (tokens.MODE, tokens.PATH, tokens.VALUE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("mvkt_version", [__version__, None])
def test_a_cluster_of_our_versions_is_taken(
    mvkt_version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which Ray itself would ask before the address that it is given.
    monkeypatch.setenv("RAY_ADDRESS", "http://elsewhere:1")
    with dashboard(answers_of(ray.__version__, mvkt_version)) as url, open_jobs(url, None) as jobs:
        assert jobs.url == url


@pytest.mark.parametrize(
    ("ray_version", "mvkt_version", "expected"),
    [
        ("2.48.0", None, f"has Ray 2.48.0, here it is {ray.__version__}"),
        (ray.__version__, "99.0", f"has mvkt-ray 99.0, here it is {__version__}"),
    ],
)
def test_a_cluster_of_other_versions_is_refused(
    ray_version: str, mvkt_version: str | None, expected: str
) -> None:
    with dashboard(answers_of(ray_version, mvkt_version)) as url:
        with pytest.raises(ClusterError, match=expected), open_jobs(url, None):
            pass


@pytest.mark.parametrize("answers", [{}, {"/api/version": "<html>"}, {"/api/version": {}}])
def test_a_server_that_is_no_dashboard_is_told(answers: dict[str, Any]) -> None:
    with dashboard(answers) as url:
        with pytest.raises(ClusterError, match="not a Ray dashboard"), open_jobs(url, None):
            pass


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("head", "http://head:8265"),
        ("10.0.0.5:99", "http://10.0.0.5:99"),
        ("https://head/", "https://head:8265"),
        ("http://[::1]:99", "http://[::1]:99"),
    ],
)
def test_addresses_of_dashboards(address: str, url: str) -> None:
    assert dashboard_url(address) == url


@pytest.mark.parametrize("address", ["auto", "ray://head:10001"])
def test_other_addresses_are_no_dashboards(address: str) -> None:
    with pytest.raises(ClusterError, match="jobs are submitted over HTTP"):
        dashboard_url(address)


def test_what_keeps_a_cluster_from_growing_is_told_in_the_words_of_the_cloud() -> None:
    refused = NodeAvailabilityRecord(
        node_type="gpu_spot",
        is_available=False,
        last_checked_timestamp=1.0,
        unavailable_node_information=UnavailableNodeInformation(
            category="VcpuLimitExceeded", description="You have requested more vCPU capacity"
        ),
    )
    summary = AutoscalerSummary(
        active_nodes={},
        idle_nodes={},
        pending_nodes=[],
        pending_launches={},
        failed_nodes=[("10.0.0.9", "cpu")],
        node_availability_summary=NodeAvailabilitySummary({"gpu_spot": refused}),
    )
    # As Ray's dashboard writes it.
    status = to_google_style({"cluster_status": {"autoscaler_report": dataclasses.asdict(summary)}})
    quota, failed = growth_problems(status)
    assert "gpu_spot" in quota
    assert "VcpuLimitExceeded: You have requested more vCPU capacity" in quota
    assert "cpu node has failed (10.0.0.9)" in failed
    assert growth_problems({"clusterStatus": None, "autoscalingError": None}) == []


@pytest.mark.parametrize(
    ("told_s", "said"),
    [
        ([0.0], []),
        ([-110.0, -110.0, 0.0], []),
        ([-3600.0, -3600.0, -3595.0], ["a differs from this machine's by about 3595 s."]),
        ([3600.0, 3605.0], ["a differs from this machine's by about 3605 s."]),
    ],
    ids=["right", "of a busy node", "behind", "ahead"],
)
def test_a_clock_is_told_to_be_wrong_by_what_its_node_tells_next(
    told_s: list[float], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_view, "LOOKS_EVERY_S", 0.0)
    here = time.time()
    monkeypatch.setattr(cluster_view.time, "time", lambda: here)
    told = iter(told_s)
    problems = clock_problems(lambda: {"a": here + next(told)})
    assert [problem.removeprefix("The clock of ") for problem in problems] == said
    assert list(told) == []


def test_a_node_that_tells_no_other_time_is_not_accused() -> None:
    assert clock_problems(lambda: {"a": 1.0}, patience_s=0.0) == []
