"""What Gateway says in a terminal exists in both languages."""

import ast
import string
from pathlib import Path

import pytest

from gateway.client.words import CHINESE, Words, language

ROOT = Path(__file__).resolve().parents[2]
SPEAKERS = [
    path
    for folder in (
        "gateway/client",
        "gateway/client/python/cli",
        "gatewaysite",
        "gatewaysite/management/commands",
    )
    for path in ROOT.glob(f"{folder}/*.py")
    if path.name != "settings.py"  # env.words() there reads a list
]
SAYS = {"words", "_words", "_say", "say"}


def spoken_sentences():
    for path in SPEAKERS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                first = node.args[0]
                if name in SAYS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_there_are_sentences_to_look_at():
    assert len(set(spoken_sentences())) > 15


@pytest.mark.parametrize("sentence", sorted(set(spoken_sentences())))
def test_every_sentence_has_a_chinese_one(sentence):
    assert sentence in CHINESE


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_both_languages_tell_the_same_values(english, chinese):
    assert fields(english) == fields(chinese)


def test_the_terminal_speaks_what_the_locale_says_unless_it_is_told_otherwise():
    assert language("", {"LANG": "zh_CN.UTF-8"}) == "zh"
    assert language("en", {"LANG": "zh_CN.UTF-8"}) == "en"
    assert language("", {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}) == "en"
    assert language("", {}) == "en"


def test_values_are_put_into_the_sentence():
    assert Words("zh")("They are in {path}", path="/data") == "位于 /data"
