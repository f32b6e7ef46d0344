"""The code of the graphics card, run by NumPy: the same numbers as the CPU's, and the CPU where the card is none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.doctor import examine
from planner.backends import gpu
from planner.backends.gpu import LEAST_SAMPLES, SWITCH, Card, find_card
from planner.grid import Grid
from planner.segmentation import profiles
from planner.segmentation.profiles import NO_DATA, EdgeSearch, find_edges, read_profiles
from planner.volume import Volume

SHAPE = (9, 11, 13)
OFFSETS = np.linspace(-4.0, 4.0, 33)
COUNT = LEAST_SAMPLES // len(OFFSETS) + 1


def stand_in(arrays=np):
    return Card(arrays, "NumPy", np.asarray)


def volume(seed=0):
    hu = np.random.default_rng(seed).integers(-1000, 2000, SHAPE).astype(np.int16)
    return Volume(hu, Grid.from_spacing(SHAPE, (1.5, 0.7, 0.8), (3.0, -5.0, 7.0)))


def rays(seed=0, count=COUNT):
    """Points in and somewhat beyond the volume, and unit normals."""
    rng = np.random.default_rng(seed)
    grid = volume().grid
    points = grid.to_lps(rng.uniform(-2, np.array(SHAPE) + 1, (count, 3)))
    normals = rng.normal(size=(count, 3))
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)


@pytest.fixture
def with_card(monkeypatch):
    card = stand_in()
    monkeypatch.setattr(profiles, "find_card", lambda: card)
    return card


@pytest.fixture
def cupy(monkeypatch):
    """Install a module that answers as CuPy does, for `find_card`."""

    def install(**changes):
        runtime = SimpleNamespace(getDeviceProperties=lambda device: {"name": b"Card 9000"})
        cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(id=0))
        module = SimpleNamespace(**{"cuda": cuda, "arange": np.arange, "asnumpy": np.asarray, **changes})
        monkeypatch.setattr(gpu, "find_spec", lambda name: name == "cupy")
        monkeypatch.setattr(gpu, "import_module", lambda name: module)
        find_card.cache_clear()

    monkeypatch.delenv(SWITCH, raising=False)
    yield install
    find_card.cache_clear()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_same_numbers_as_the_cpu_to_the_bit(seed):
    points, normals = rays(seed)
    scan = volume(seed)
    start = scan.grid.to_index(points)
    direction = scan.grid.to_index(points + normals) - start
    by_cpu = np.empty((len(start), len(OFFSETS)), np.float32)
    profiles._read(scan.hu, start, direction, OFFSETS, by_cpu)
    by_card = stand_in().read(scan, start, direction, OFFSETS, NO_DATA)
    assert by_card.dtype == by_cpu.dtype
    assert np.array_equal(by_card, by_cpu)
    assert (by_cpu == NO_DATA).any()
    assert (by_cpu != NO_DATA).any()


def test_the_last_voxel_is_inside_and_beyond_it_is_not():
    scan, count = volume(), COUNT
    last = np.tile(np.array(SHAPE, float) - 1, (count, 1))
    values = stand_in().read(scan, last, np.full((count, 3), 1e-9), OFFSETS, NO_DATA)
    assert values[0, len(OFFSETS) // 2] == scan.hu[-1, -1, -1]
    assert values[0, -1] == NO_DATA


def test_edges_are_found_where_the_cpu_finds_them(with_card, monkeypatch):
    hu = np.zeros((40, 40, 40), np.int16)
    hu[10:30, 10:30, 10:30] = 900
    scan = Volume(hu, Grid.from_spacing(hu.shape, 1.0))
    points = np.column_stack([np.full(COUNT, 29.0), *np.random.default_rng(0).uniform(14, 26, (2, COUNT))])
    normals = np.tile([1.0, 0.0, 0.0], (COUNT, 1))
    by_card = find_edges(scan, points, normals, EdgeSearch(4.0, 0.2))
    monkeypatch.setattr(profiles, "find_card", lambda: None)
    by_cpu = find_edges(scan, points, normals, EdgeSearch(4.0, 0.2))
    assert all(np.array_equal(a, b) for a, b in zip(by_card, by_cpu, strict=True))
    assert np.allclose(by_card[0], 0.5, atol=0.1)


def test_the_card_is_asked_for_many_samples_alone(with_card, monkeypatch):
    asked = []
    monkeypatch.setattr(with_card, "_sampled", lambda *arguments: asked.append(1) or np.zeros((1, 1), np.float32))
    points, normals = rays(count=COUNT)
    read_profiles(volume(), points[:10], normals[:10], OFFSETS)
    assert asked == []
    read_profiles(volume(), points, normals, OFFSETS)
    assert asked == [1]


def test_a_volume_is_sent_once_and_let_go():
    sent = []

    def asarray(array):
        sent.extend([array] if array.dtype == np.int16 else [])
        return np.asarray(array)

    arrays = SimpleNamespace(
        asarray=asarray, ones=np.ones, clip=np.clip, where=np.where, int64=np.int64, float32=np.float32
    )
    card, scan = stand_in(arrays), volume()
    points, normals = rays()
    for _ in range(3):
        card.read(scan, points, normals, OFFSETS, NO_DATA)
    assert len(sent) == 1
    sent.clear()
    del scan
    assert len(card._volumes) == 0


def test_a_card_that_fails_gives_way_to_the_cpu_for_good(monkeypatch):
    failures = []

    def fail(*arguments):
        failures.append(1)
        raise MemoryError("out of the card's memory")

    card = stand_in()
    monkeypatch.setattr(card, "_sampled", fail)
    monkeypatch.setattr(profiles, "find_card", lambda: card)
    points, normals = rays()
    first = read_profiles(volume(), points, normals, OFFSETS)
    second = read_profiles(volume(), points, normals, OFFSETS)
    monkeypatch.setattr(profiles, "find_card", lambda: None)
    assert np.array_equal(first, read_profiles(volume(), points, normals, OFFSETS))
    assert np.array_equal(first, second)
    assert failures == [1]


def test_a_card_is_found_by_its_name(cupy):
    cupy()
    assert find_card().name == "Card 9000"
    assert examine().endswith("GPU: Card 9000")


def test_it_can_be_switched_off(cupy, monkeypatch):
    cupy()
    monkeypatch.setenv(SWITCH, "off")
    assert find_card() is None
    assert "GPU: none found or switched off" in examine()


@pytest.mark.parametrize("answer", [RuntimeError("no driver"), OSError("libcuda.so")])
def test_no_driver_is_no_card(cupy, answer):
    def fail(*arguments):
        raise answer

    cupy(arange=fail)
    assert find_card() is None


def test_a_card_that_counts_wrong_is_no_card(cupy):
    cupy(arange=np.zeros)
    assert find_card() is None


def test_without_the_package_there_is_no_card(monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    find_card.cache_clear()
    assert find_card() is None
    find_card.cache_clear()


def test_doctor_names_the_extras_and_how_to_install_them(monkeypatch):
    monkeypatch.setattr("pipelines.doctor.find_spec", lambda name: None)
    told = examine()
    for extra in ("viewer", "totalsegmentator", "gpu"):
        assert f"pip install 'sacroplan[{extra}]'" in told
