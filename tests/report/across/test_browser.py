"""The page of several runs in a real browser: everyone can read it, in the dark and on a telephone."""

from __future__ import annotations

import pytest
from chromium import browser, of, used

from hneuro.report.page import Summary

pytestmark = browser

LOOKED = """await loaded();
  all("details").forEach((one) => { one.open = true; });
  await Promise.all(all("figure[data-name]").map(draw));
  tell("light", await violations());
  darken();
  tell("dark", await violations());"""


@pytest.fixture(scope="module")
def told(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> str:
    return used(summary.page, tmp_path_factory.mktemp("browser"), LOOKED)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_everyone_can_read_it(colours: str, told: str) -> None:
    assert of(told, colours) == "[]"


def test_a_narrow_screen(told: str) -> None:
    assert of(told, "narrow") == "wider by 0 and 0, 400"
