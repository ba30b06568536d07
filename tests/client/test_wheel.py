"""What `pip install .` gives: the client, and nothing of the server."""

import subprocess
import sys
import sysconfig
import zipfile

import pytest

from tests.client.running import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode and "hatchling" in made.stderr:
        pytest.skip("the build backend cannot be fetched from here")
    assert made.returncode == 0, made.stderr
    [path] = folder.glob("*.whl")
    return path


def test_it_holds_the_client_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert "gateway/py.typed" in names
    assert "gateway/client/python/client.py" in names
    assert {name.split("/")[0] for name in names} == {"gateway", "gateway-0.1.0.dist-info"}
    assert not [name for name in names if name.startswith("gateway/core")]


def test_it_runs_with_its_own_requirements_and_nothing_else(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True
    )
    code = (
        "import sys\n"
        "class Nobody:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'django', 'lifecycle', 'executor', 'gatewaysite'}:\n"
        "            raise ImportError(f'{name} is not installed here')\n"
        "sys.meta_path.insert(0, Nobody())\n"
        "import gateway.client.python.cli, gateway.client.python as client\n"
        "print(client.__file__)\n"
    )

    # Its requirements, at the versions of the tests.
    environment = {"PYTHONPATH": sysconfig.get_path("purelib"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    command = subprocess.run(
        [tmp_path / "venv/bin/gateway", "--version"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert str(tmp_path) in done.stdout
    assert command.stdout == "gateway 0.1.0\n"
