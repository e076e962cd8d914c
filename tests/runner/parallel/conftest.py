"""One Ray for the tests of a module that do not stop or kill theirs: to start one takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runner.parallel.session import RaySession, RaySettings, ray_session


@pytest.fixture(scope="module")
def local_ray() -> Iterator[RaySession]:
    """With room for several pools at a time."""
    with ray_session(RaySettings(workers=6)) as session:
        yield session
