"""Sphinx's configuration: the site is these pages, the repository's own, and the docstrings."""

import inspect
import logging
import re
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import gymnasium
import numpy.typing
from gymnasium.envs.registration import load_env_creator

import dexbench
from dexbench.docs.leaderboard_page import leaderboard

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).resolve().parent
EXPERIMENTS = "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"
LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s#]+)(#[^()\s]+)?\)")
INCLUDE = re.compile(r"^```\{include\} (\S+)$", re.MULTILINE)

# PyOpenGL, which autodoc imports, would announce that its optional accelerator is not installed.
logging.getLogger("OpenGL.acceleratesupport").setLevel(logging.WARNING)

project = "dexbench"
release = version = dexbench.__version__
project_copyright = "the dexbench authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
# A single backtick in a docstring is code.
default_role = "code"

myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_space = False
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"

html_theme = "furo"
html_title = f"dexbench {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_js_files = [("sort.js", {"defer": "defer"})]
html_copy_source = False
html_use_index = False
html_domain_indices = False
html_show_sphinx = False

Scalar = TypeVar("Scalar")


class NDArray(Generic[Scalar]):
    """Stands for numpy's alias of that name, which signatures would show spelled out."""

    __module__ = "numpy.typing"


numpy.typing.NDArray = NDArray  # type: ignore[assignment]  # on the site alone


def pages() -> dict[Path, Path]:
    """Find the repository's files that pages of the site include, each with its page."""
    return {
        (page.parent / target).resolve(): page
        for page in HERE.rglob("*.md")
        for target in INCLUDE.findall(page.read_text(encoding="utf-8"))
    }


def point(text: str, source: Path, page: Path) -> str:
    """Turn a file's links into those of the page that shows it.

    Args:
        text: Markdown, its links relative to its own file.
        source: That file.
        page: The page of the site that shows it.

    Returns:
        The same Markdown. A link to a file that has no page on the site becomes plain text.
    """
    shown = pages()

    def turn(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        file = (source.parent / target).resolve()
        if "://" in target or not file.exists():
            return link[0]
        file = shown.get(file, file)
        if not file.is_relative_to(HERE):
            return words
        return f"[{words}]({relpath(file, page.parent)}{anchor})"

    return LINK.sub(turn, text)


def keep_intervals(text: str) -> str:
    """Put no-break spaces into intervals such as [93, 100], which narrow columns would break."""
    return re.sub(r"\[(\d+), (\d+)\]", "[\\1,\u00a0\\2]", text)


def sheet(name: str) -> str:
    """Write the data sheet of an environment, its docstring, as a section of a page."""
    entry = gymnasium.spec(name).entry_point
    assert isinstance(entry, str)
    return re.sub(r"^## ", "### ", inspect.getdoc(load_env_creator(entry)) or "", flags=re.M)


def read_page(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Mend a page's links, and fill in data sheets, the leaderboard and the list of experiments."""
    page = HERE / f"{docname}.md"
    source[0] = point(source[0], page, page)
    source[0] = re.sub(r"<!-- sheet: (\S+) -->", lambda found: sheet(found[1]), source[0])
    if docname == "leaderboard":
        source[0] = source[0].replace("<!-- leaderboard -->", leaderboard())
    if docname == "experiments/README":
        source[0] += EXPERIMENTS


def read_included(app: "Sphinx", path: Path, docname: str, source: list[str]) -> None:
    """Mend the links of a file that a page includes."""
    file = (HERE / path).resolve()
    source[0] = keep_intervals(point(source[0], file, pages()[file]))


def write_math(writer: "HTML5Translator", node: "Element") -> None:
    """Write a formula as MathML, which browsers show without a script from another site."""
    from docutils.nodes import SkipNode, math_block
    from latex2mathml.converter import convert

    display = "block" if isinstance(node, math_block) else "inline"
    # The converter lacks `arg`, and copies what it lacks.
    formula = convert(node.astext().replace(r"\arg", r"\text{arg}\,"), display=display)
    if "\\" in formula:
        raise ValueError(f"latex2mathml lacks a command of: {node.astext()}")
    writer.body.append(formula)
    raise SkipNode


def keep_colon(
    app: "Sphinx", what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Begin a field's docstring with an empty line: napoleon takes "words: more" for a type."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def setup(app: "Sphinx") -> None:
    """Connect what Sphinx calls while it reads and writes."""
    app.connect("autodoc-process-docstring", keep_colon, priority=400)
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
