"""What every test may ask for: the default phantom on a coarse grid, and the real scans where they are at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_data.phantom import Phantom, PhantomSpec, make_phantom

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

COARSE_MM = (2.0, 2.0, 2.0)


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """The default phantom at 2 mm."""
    return make_phantom(PhantomSpec(spacing_zyx_mm=COARSE_MM))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real scans that lie beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return SHARED
