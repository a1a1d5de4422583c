"""One server for all tests that ask it nothing unusual."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import made_service, serving, tiny_detector

from hneuro.detector import Detector
from hneuro.serve.service import Service


@pytest.fixture(scope="session")
def detector(tiny_checkpoint: Path) -> Detector:
    return tiny_detector(tiny_checkpoint)


@pytest.fixture(scope="module")
def service(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> Service:
    return made_service(detector, tmp_path_factory.mktemp("queue"))


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    with serving(service) as at:
        yield at
