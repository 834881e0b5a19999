"""What tests of the server have in common."""

import logging
from collections.abc import Iterator
from copy import copy
from functools import cache
from typing import Any, cast
from unittest.mock import patch

import pytest
import structlog
from litestar import Litestar
from litestar.datastructures import State

from orchestrator.gateway import server
from orchestrator.gateway.http import http
from orchestrator.gateway.services import Services


@pytest.fixture(scope="session", autouse=True)
def _routes_are_read_once() -> Iterator[None]:
    """A gateway's HTTP application is the same in each but for its services. To read all its handlers' signatures takes
    the framework 75 ms of CPU, and tests make a thousand gateways."""

    @cache
    def read(**limits: Any) -> Litestar:
        return http.application(cast(Any, None), **limits)

    def application(services: Services, **limits: Any) -> Litestar:
        app = copy(read(**limits))
        app.state = State({"services": services})
        return app

    with patch.object(server, "application", application):
        yield


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """Standard output is the commands', wherever earlier tests have the log go."""
    before = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)
