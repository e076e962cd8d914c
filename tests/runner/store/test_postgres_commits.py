"""Every transaction that writes to PostgreSQL: it happens wholly or not at all when its process is killed."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text

from runner.store.columns import Base
from runner.store.upkeep import check
from tests.runner.store.test_contention import ROOT
from tests.runner.store.writes import WRITERS, prepare

if TYPE_CHECKING:
    from tests.postgres import Cluster

_ANY_TIME_BUT_OURS = re.compile(r"datetime\.datetime\((?!2026, 1, 1, 0, [01])[^)]*\)")


def contents(url: str) -> dict[str, list[str]]:
    """All rows; random ids and times of the database's clock are all the same."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        found = {
            table: sorted(
                re.sub("[0-9a-f]{32}", "id", _ANY_TIME_BUT_OURS.sub("then", repr(tuple(row))))
                for row in connection.execute(text(f"SELECT * FROM {table}"))
            )
            for table in Base.metadata.tables
        }
    engine.dispose()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_process_killed_at_any_commit_leaves_all_or_nothing(cluster: Cluster, part: int) -> None:
    prepared = cluster.make()
    prepare(prepared)
    before = contents(prepared)
    methods = sorted(WRITERS)[part::4]
    template = prepared.rpartition("/")[2]
    urls = {method: cluster.make(template=template) for method in methods}
    for moment in ("before_commit", "after_commit"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.runner.store.writes"],
            input="".join(f"{url} {method} {method}.{moment}:1:kill\n" for method, url in urls.items()),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["-9"] * len(urls), done.stderr
        for method, url in urls.items():
            unchanged = contents(url) == before
            assert unchanged == (moment == "before_commit" or method in ("renew_study", "renew_job")), (method, moment)
            assert check(url).problems == ()
    for url in (*urls.values(), prepared):
        cluster.drop(url)
