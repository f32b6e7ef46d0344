"""DICOMweb as a caller, where no server is needed: what a cut-off answer leaves is told from an image."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from pipelines.pacs import attempts
from pipelines.pacs.attempts import ATTEMPTS, insist
from pipelines.pacs.web import TOKEN_VARIABLE, _is_whole, client_of, fetch_web
from planner.errors import BackendError

from support.made_export import write_study


@pytest.fixture
def image(tmp_path):
    write_study(tmp_path, 0)
    return pydicom.dcmread(tmp_path / "IM0")


def test_an_image_is_whole_and_what_is_left_of_one_is_not(image):
    assert _is_whole(image)
    image.PixelData = image.PixelData[:-2]
    assert not _is_whole(image)
    del image.PixelData
    assert not _is_whole(image)


def test_compressed_pixels_are_as_long_as_they_are(image):
    image.file_meta.TransferSyntaxUID = JPEGLSLossless
    image.PixelData = image.PixelData[:10]
    assert _is_whole(image)


def test_a_header_alone_is_no_image(image):
    del image.SOPInstanceUID
    assert not _is_whole(image)


class Server:
    """Gives one image of a series, of which only the first bytes come."""

    def __init__(self, content):
        self.content = content

    def search_for_series(self, _study, fields):
        return [{"00080060": {"Value": ["CT"]}, "0020000E": {"Value": ["1.2"]}, "00201209": {"Value": ["1"]}}]

    def iter_series(self, _study, _series, media_types):
        return (pydicom.dcmread(BytesIO(part)) for part in [self.content])


def test_an_answer_that_ends_anywhere_is_no_image(image, tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "ATTEMPTS", 1)
    content = (tmp_path / "IM0").read_bytes()
    header = len(content) - len(image.PixelData)
    for count in (*range(header + 4), len(content) - 2):
        with pytest.raises(BackendError, match="cut off"):
            fetch_web(Server(content[:count]), "1.2.3", tmp_path / "in")
    folder = fetch_web(Server(content), "1.2.3", tmp_path / "in")
    assert [pydicom.dcmread(path).PixelData for path in folder.iterdir()] == [image.PixelData]


def test_a_token_of_the_environment_is_sent(monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "abc")
    assert client_of("http://127.0.0.1:1/dicom-web")._session.headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize("failures", range(ATTEMPTS + 1))
def test_what_fails_is_tried_again_a_few_times(failures):
    left = [failures]

    def attempt():
        left[0] -= 1
        if left[0] >= 0:
            raise BackendError(f"failed {left[0]}.")
        return "done"

    if failures < ATTEMPTS:
        assert insist(attempt) == "done"
    else:
        with pytest.raises(BackendError, match="failed 0"):
            insist(attempt)
