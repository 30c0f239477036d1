"""The HTTP client of a cluster's dashboard, and the dashboard's address."""

from typing import Any

import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from mvkt_ray.config.ports import DASHBOARD_PORT
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.connecting.address import (
    REACHABLE_WITHIN_S,
    check_listens,
    refusal,
    split_address,
)
from mvkt_ray.on_ray.connecting.tokens import current_token
from mvkt_ray.phrasing import shortly

ANSWERS_WITHIN_S = 30.0
"""Limit for an answer over HTTP from a head that may be busy."""


class DashboardClient(JobSubmissionClient):
    """Ray's client, with a time limit for answers."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        return super()._do_request(
            method, endpoint, **{"timeout": (REACHABLE_WITHIN_S, ANSWERS_WITHIN_S), **options}
        )

    def get(self, endpoint: str) -> Any:
        """Return the JSON at an endpoint."""
        response = self._do_request("GET", endpoint)
        response.raise_for_status()
        return response.json()

    @property
    def url(self) -> str:
        """URL of the dashboard, without a slash at the end."""
        return self._address

    @property
    def server_version(self) -> str:
        """Ray version of the cluster."""
        return str(self._server_ray_version)


def dashboard_url(address: str) -> str:
    """Return the URL `http(s)://host:port` of a dashboard's address.

    Raises:
        ClusterError: The address has another form.
    """
    if address.startswith("ray://") or address == "auto":
        raise ClusterError(
            f"--address {address}: jobs are submitted over HTTP. Give the address of the head's "
            f"dashboard, http://HOST:{DASHBOARD_PORT}, which was printed when the head was "
            "started."
        )
    scheme = "https" if address.startswith("https://") else "http"
    host, port = split_address(address, default_port=DASHBOARD_PORT)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def reach_dashboard(url: str) -> DashboardClient:
    """Connect to the dashboard at `http(s)://host:port`.

    Raises:
        ClusterError: Nothing answers, the server is not a Ray dashboard, or it refuses the token.
    """
    host, port = split_address(url)
    way_out = f" (`ssh -L {port}:localhost:{port} {host}` bypasses a firewall)"
    check_listens(f"--address {url}", host, port, way_out)
    try:
        return DashboardClient(url)
    except AuthenticationError:
        raise ClusterError(f"--address {url}: {refusal(current_token())}") from None
    except (
        RuntimeError,
        ConnectionError,
        requests.RequestException,
        ValueError,
        KeyError,
    ) as error:
        raise ClusterError(
            f"--address {url}: the server there is not a Ray dashboard ({shortly(error)}). Give "
            f"the head's http://HOST:{DASHBOARD_PORT}, not the port for joining nodes."
        ) from None
