"""An installed wheel carries `conf/` and finds it, far from any checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_wheel_composes_its_own_config(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", str(ROOT)]
    subprocess.run([*build, "--wheel-dir", str(tmp_path)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("hneuro-*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "site")
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import hneuro.config as c; print(c.config_folder())"],
        env=env, cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(tmp_path / "site" / "hneuro" / "conf")
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "hneuro", "run", "--cfg", "job"],
        env=env, cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "hneuro.probe.selectors.L1" in shown.stdout
    packed = {f"hneuro/conf/{file.relative_to(ROOT / 'conf')}" for file in (ROOT / "conf").rglob("*.yaml")}
    for kind in ("py.typed", "*.jinja", "*.css", "*.jsonl", "*.txt", "*.toml"):
        packed |= (found := {str(file.relative_to(ROOT)) for file in (ROOT / "hneuro").rglob(kind)})
        assert found
    packed.add("hneuro/report/templates/glossary.md")
    with zipfile.ZipFile(wheel) as content:
        assert packed <= set(content.namelist())
        assert any(name.endswith("dist-info/licenses/LICENSE") for name in content.namelist())
