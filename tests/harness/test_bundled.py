"""The harness on the bundled router, with the routes of the example city; and that no bundled plugin was forgotten."""

from __future__ import annotations

from pathlib import Path

from gateway.conf_load import load
from gateway.host import Host
from gateway.testing import boundary_moments, check_router
from gateway_plugins.route_offices import RouteOffices
from tests.harness import test_channels, test_transports


def test_route_offices() -> None:
    root = Path(__file__).parents[2] / "conf"
    config = load(root, Host.load(root))
    (router,) = config.routers
    assert router.cls is RouteOffices
    check_router(RouteOffices, router.settings, directory=config.directory)
    check_router(RouteOffices, router.settings, directory=config.directory, moments=boundary_moments(config.calendar))


def test_every_bundled_plugin_is_tried() -> None:
    kinds = Host.load().kinds
    here = (*vars(test_channels), *vars(test_transports), *globals())
    tried = {name.removeprefix("test_") for name in here if name.startswith("test_")}
    assert {kind for hook in kinds for kind in kinds[hook]} <= tried
