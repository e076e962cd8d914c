"""What a server leaves in its state folder, so that programs of the same user find it: a token, and where it listens.

Both files are for this user alone.  The token is an administrator's: who may read the folder owns the record anyway.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from runner.service.auth import FIRST_LINK_LIFE, LOCAL_OWNER, new_token, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from runner.settings import Home
    from runner.store import Repository

_TOKEN, _SERVER = "token", "server.json"
_PRIVATE = 0o600


def ensure_token(home: Home, repository: Repository, now: datetime) -> str:
    """The token in the state folder; a new one where there is none that opens this record."""
    path = home.path / _TOKEN
    try:
        text = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        text = ""
    if verify(repository, text, ("token",), now) is None:
        record, text = new_token(
            owner=LOCAL_OWNER, name="of the state folder", scopes=("admin",), kind="token", now=now
        )
        repository.create_token(record)
        _write_private(path, f"{text}\n")
    path.chmod(_PRIVATE)
    return text


def first_link(repository: Repository, origin: str, now: datetime) -> str:
    """A link that opens the pages once, for the administrator of the state folder."""
    record, text = new_token(
        owner=LOCAL_OWNER, name="the first link", scopes=("admin",), kind="link", now=now, life=FIRST_LINK_LIFE
    )
    repository.create_token(record)
    return f"{origin}/login?code={text}"


@contextmanager
def announced(home: Home, url: str) -> Iterator[None]:
    """Within, the state folder says where the server of this process listens."""
    path = home.path / _SERVER
    content = json.dumps({"url": url, "pid": os.getpid(), "version": version("supernaut")})
    _write_private(path, f"{content}\n")
    try:
        yield
    finally:
        if _is_ours(path):
            path.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether no other server on the same folder has written its own since."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_private(path: Path, content: str) -> None:
    """Replace a file as a whole; nobody else may read it at any moment."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE), "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
