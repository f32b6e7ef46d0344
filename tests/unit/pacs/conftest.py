"""What pynetdicom leaves behind is collected where it was left, and no test waits between two attempts."""

from __future__ import annotations

import pytest

from pipelines.pacs import attempts

from support.sockets import collecting


@pytest.fixture(autouse=True)
def _at_once_and_tidily(monkeypatch):
    monkeypatch.setattr(attempts, "PAUSE_S", 0.0)
    with collecting():
        yield
