"""Where a client finds its server and its key, and whom the key is never given to."""

import json
import stat
import sys

import pytest

from gateway.client.python import GatewayClient, profile
from gateway.client.python.profile import Profile, checked_url, profile_path, resolve
from gateway.errors import BadConfiguration, NotSignedIn

URL = "http://gateway-host:8000"


@pytest.fixture
def home(tmp_path):
    return {"HOME": str(tmp_path)}


def saved(home, url=URL, **keys):
    Profile(url, keys or {URL: "gk_profile"}).write(profile_path(home))
    return home


def test_arguments_win(home):
    server = resolve(
        "http://a:1/", "gk_a", saved(home) | {"GATEWAY_URL": "http://b", "GATEWAY_API_KEY": "gk_b"}
    )

    assert (server.url, server.api_key) == ("http://a:1", "gk_a")


def test_then_the_environment(home):
    home = saved(home) | {"GATEWAY_URL": "http://b", "GATEWAY_TOKEN": "gk_token"}

    assert (resolve(environment=home).url, resolve(environment=home).api_key) == ("http://b", "gk_token")
    assert resolve(environment=home | {"GATEWAY_API_KEY": "gk_key"}).api_key == "gk_key"
    assert resolve(environment=home | {"GATEWAY_API_KEY": ""}).api_key == "gk_token"


def test_then_the_profile(home):
    server = resolve(environment=saved(home))

    assert (server.url, server.api_key, server.key_from) == (URL, "gk_profile", str(profile_path(home)))


def test_then_the_installation_on_this_machine(home, tmp_path):
    (tmp_path / "api-key").write_text("gk_local\n")

    server = resolve(environment=home | {"GATEWAY_DATA_DIR": str(tmp_path)})

    assert (server.url, server.api_key) == ("http://127.0.0.1:8000", "gk_local")


@pytest.mark.parametrize("place", ["package", "venv"])
def test_a_checkout_knows_its_own_data(home, tmp_path, monkeypatch, place):
    (tmp_path / "manage.py").touch()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "api-key").write_text("gk_checkout")
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setattr(profile, "PACKAGE_PARENT", tmp_path if place == "package" else elsewhere)
    monkeypatch.setattr(sys, "prefix", str((tmp_path if place == "venv" else elsewhere) / ".venv"))

    assert resolve(environment=home).api_key == "gk_checkout"


def test_a_key_goes_only_to_the_server_it_belongs_to(home, tmp_path):
    (tmp_path / "api-key").write_text("gk_local")
    home = saved(home) | {"GATEWAY_DATA_DIR": str(tmp_path)}

    for url in ("http://gateway-host:9000", "https://gateway-host:8000", "http://evil.example"):
        with pytest.raises(NotSignedIn):
            resolve(url, environment=home)


def test_without_a_key_the_cure_is_told(home):
    with pytest.raises(NotSignedIn, match=r"There is no API key for http://h:1") as caught:
        resolve("http://h:1", environment=home | {"GATEWAY_DATA_DIR": "/nowhere"})

    for cure in ("gateway login", "GATEWAY_API_KEY", "api_key=", "create_api_key"):
        assert cure in caught.value.hint


@pytest.mark.parametrize("key", ["gk_a\nX-Evil: 1", "gk a", "gk_密"])
def test_a_key_that_is_none_is_not_sent(home, key):
    with pytest.raises(NotSignedIn, match="is none"):
        resolve(URL, key, home)


@pytest.mark.parametrize("url", ["gateway-host:8000", "gateway-host", "ftp://a", "http://", "not a url"])
def test_an_address_that_is_none_is_told(url):
    with pytest.raises(BadConfiguration, match="Write it like http://gateway-host:8000"):
        checked_url(url)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://h:1/", "http://h:1"),
        ("http://h:1/api/v1/", "http://h:1"),
        ("https://h/gateway/", "https://h/gateway"),
        (" http://[::1]:8000 ", "http://[::1]:8000"),
    ],
)
def test_an_address_may_be_written_in_several_ways(given, meant):
    assert checked_url(given) == meant


def test_the_profile_is_for_its_owner_only(home):
    path = profile_path(saved(home))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"url": URL, "keys": {URL: "gk_profile"}}
    assert [one.name for one in path.parent.iterdir()] == ["profile.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": 1}', '{"url": "http://a", "keys": []}'])
def test_a_broken_profile_is_told_with_the_cure(home, content):
    path = profile_path(saved(home))
    path.write_text(content)

    with pytest.raises(BadConfiguration, match="gateway login"):
        resolve(environment=home)


def test_the_key_is_not_shown_by_accident():
    client = GatewayClient(URL, "gk_secret")

    assert "gk_secret" not in f"{client!r} {client.server!r}"
