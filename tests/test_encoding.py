"""What dexbench writes is UTF-8, whatever the locale."""

import ast
from collections.abc import Iterator
from pathlib import Path

import dexbench

PACKAGE = Path(dexbench.__file__).parent
MODES = {"open": 1, "fdopen": 1}
"""Functions that take a mode, and where; as a method ``open`` takes it one place earlier."""
NOT_TEXT = ("os.open", "av.open", "Image.open", "tarfile.open", "zipfile.open", "gzip.open")


def without_encoding(tree: ast.AST) -> Iterator[int]:
    """Lines that read or write text and leave the encoding to the locale."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) in NOT_TEXT:
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if {"encoding", None} & {keyword.arg for keyword in node.keywords}:
            continue
        if name in ("read_text", "write_text", "TextIOWrapper"):
            yield node.lineno
        elif name in MODES:
            place = MODES[name] - (isinstance(node.func, ast.Attribute) and name == "open")
            modes = [*node.args[place : place + 1]]
            modes += [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
            if not any(isinstance(m, ast.Constant) and "b" in str(m.value) for m in modes):
                yield node.lineno


def test_what_is_text_without_an_encoding() -> None:
    source = """
path.read_text()
path.write_text(text)
open(path)
open(path, "a")
path.open("w")
path.open(mode="w")
path.read_text(encoding="utf-8")
open(path, "rb")
path.open("ab")
os.open(path, flags)
path.open("w", encoding="utf-8")
"""
    assert list(without_encoding(ast.parse(source))) == [2, 3, 4, 5, 6, 7]


def test_every_text_file_names_its_encoding() -> None:
    sources = [
        path
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in ("tests", ".venv", "build")
    ]
    assert len(sources) > 80
    lines = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sources
        for line in without_encoding(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not lines, 'give encoding="utf-8"'
