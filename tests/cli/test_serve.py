"""`emofuse serve` before it serves."""

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Run = Any  # see conftest.py


def test_without_the_extra_it_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    message = run("serve").failed_cleanly()
    assert "pip install 'emofuse[web]'" in message


def test_it_does_not_listen_elsewhere_without_a_token(run: Run, tmp_path: Path) -> None:
    message = run("serve", "--host", "0.0.0.0", "--state", tmp_path).failed_cleanly()
    assert "EMOFUSE_TOKEN" in message


def test_a_port_in_use_is_told_in_a_line(run: Run, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = run("serve", "--port", port, "--state", tmp_path / "state").failed_cleanly()
    assert f"port {port}: Address already in use" in message
    assert "--port" in message
    assert len(message.splitlines()) == 1


def test_wrong_settings_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOFUSE_GRACE", "long")
    assert "EMOFUSE_GRACE" in run("serve").failed_cleanly()


def test_a_wrong_analysis_configuration_is_told(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("fsp: 8\n")
    message = run("serve", "--config", config, "--state", tmp_path / "state").failed_cleanly()
    assert "fsp" in message


def test_its_help_loads_no_server() -> None:
    script = (
        "import sys\n"
        "from emofuse.cli.main import main\n"
        "code = main(['serve', '--help'])\n"
        "heavy = {'fastapi', 'uvicorn', 'starlette', 'numpy', 'av', 'cv2'} & sys.modules.keys()\n"
        "sys.exit(', '.join(heavy) or code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "EMOFUSE_TOKEN" in done.stdout
