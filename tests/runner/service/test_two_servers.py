"""Two servers over one PostgreSQL: either one answers for the other, and neither hangs when the database goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from runner.service.app import create_app
from runner.service.hosts import Hosts
from runner.service.settings import ServiceSettings
from runner.store import open_repository
from tests.postgres import running_cluster
from tests.runner.service.callers import ADMIN, let_in
from tests.runner.service.conftest import HERE
from tests.runner.service.requests_for import SPEC
from tests.runner.service.streams import Stream, in_a_loop_of_its_own

if TYPE_CHECKING:
    from fastapi import FastAPI

    from runner.settings import Home
    from tests.postgres import Cluster

pytestmark = pytest.mark.slow
STUDIES = "/api/v1/studies"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def servers(cluster: Cluster, home: Home) -> Iterator[list[FastAPI]]:
    url = cluster.make()
    with open_repository(url) as repository:
        let_in(repository)
    settings = ServiceSettings(home=home, location=url, hosts=Hosts(8000), poll_s=0.05)
    yield [create_app(settings) for _ in range(2)]
    cluster.drop(url)


def submit(client: TestClient, name: str, key: str) -> Any:
    return client.post(STUDIES, json={"spec": {**SPEC, "name": name}}, headers={"idempotency-key": key})


def test_either_answers_for_the_other_and_waits_for_a_database_that_comes_back(
    servers: list[FastAPI], cluster: Cluster
) -> None:
    with (
        TestClient(servers[0], base_url=HERE, headers=ADMIN.headers, raise_server_exceptions=False) as one,
        TestClient(servers[1], base_url=HERE, headers=ADMIN.headers, raise_server_exceptions=False) as two,
    ):
        made = [submit(one, f"study-{index}", f"k{index}") for index in range(6)]
        again = [submit(two, f"study-{index}", f"k{index}") for index in range(6)]
        assert [answer.status_code for answer in (*made, *again)] == [201] * 12
        assert [answer.json() for answer in made] == [answer.json() for answer in again]
        first = one.get(STUDIES, params={"limit": 4, "sort": "name"}).json()
        second = two.get(STUDIES, params={"limit": 4, "sort": "name", "cursor": first["next_cursor"]}).json()
        assert [each["name"] for each in (*first["items"], *second["items"])] == [f"study-{i}" for i in range(6)]
        path = f"{STUDIES}/study-0"
        etag = one.get(path).headers["etag"]
        assert two.patch(path, json={"notes": "a"}, headers={"if-match": etag}).status_code == 200
        assert one.patch(path, json={"notes": "b"}, headers={"if-match": etag}).status_code == 412

        async def heard() -> None:
            async with Stream(servers[1], "/api/v1/events", ADMIN.headers) as stream:
                await stream.block()
                await asyncio.to_thread(submit, one, "told", "k")
                assert len(await stream.numbers(1)) == 1

        in_a_loop_of_its_own(heard())
        cluster.stop()
        try:
            for client in (one, two):
                for method, body in (("GET", None), ("POST", {"spec": SPEC})):
                    began = time.monotonic()
                    answer = client.request(method, STUDIES, json=body)
                    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), answer.text
                    assert time.monotonic() - began < 60
                assert client.get("/readyz").status_code == 503
                assert client.get("/healthz").status_code == 200
        finally:
            cluster.start()
        for client in (one, two):
            for _ in range(100):
                answer = client.get(STUDIES)
                if answer.status_code == 200:
                    break
                time.sleep(0.2)
            assert len(answer.json()["items"]) == 7
        assert submit(two, "study-0", "k0").json()["id"] == made[0].json()["id"]
