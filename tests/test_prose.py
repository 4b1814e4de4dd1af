"""The documents stay readable: short sentences everywhere, and a README of one sitting."""

import itertools
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
LONGEST_MEAN = 18.0
"""Words a sentence, over a page."""
LONGEST_README = 100
"""Lines."""
GENERATED = ROOT / "docs" / "cli.md"
"""The help of the commands, not prose."""
PAGES = [
    ROOT / "README.md",
    *sorted(set((ROOT / "docs").rglob("*.md")) - {GENERATED}),
    *sorted(ROOT.glob("agents/*/weights/README.md")),
]
PARSER = MarkdownIt("commonmark").enable("table")


def paragraphs(markdown: str) -> list[str]:
    """The text of paragraphs and list items, where a piece of code or a formula is one word.

    Code blocks, tables, headings, pictures, comments and formulas on lines of their own are left
    out.
    """
    found = []
    text = re.sub(r"\$\$.*?\$\$", "", markdown, flags=re.DOTALL)
    for opening, token in itertools.pairwise(PARSER.parse(text)):
        if opening.type != "paragraph_open":
            continue
        words = {"code_inline": "code", "softbreak": " ", "hardbreak": " "}
        parts = [
            part.content if part.type == "text" else words.get(part.type, "")
            for part in token.children or []
        ]
        found.append(re.sub(r"\$[^$]+\$", "formula", "".join(parts)))
    return found


def words_a_sentence(markdown: str) -> float:
    """The mean number of words of a page's sentences; a paragraph's end ends its last one."""
    counts = []
    for paragraph in paragraphs(markdown):
        text = re.sub(r"\b(App|Sec|Fig|vs|e\.g|i\.e)\.", r"\1", paragraph)
        counts += [
            len(words)
            for sentence in re.split(r"(?<=[.!?])[\"')\]]*\s+", text)
            if (words := [word for word in sentence.split() if re.search(r"\w", word)])
        ]
    return sum(counts) / len(counts) if counts else 0.0


def test_what_is_counted() -> None:
    page = (
        "# A heading that has very many words and does not count\n\n"
        "One two three. Four `dexbench run --agent x` six (App. B)!\n\n"
        "| a table | of many words here |\n|---|---|\n| x | y z |\n\n"
        "![a picture of something](x.png)\n\n$$a b c d e f$$\n\n"
        "* One $a + b$ [three four](five.md)\n\n```sh\nmake run and many more words\n```\n"
    )
    # Sentences of 3, 5 and 4 words.
    assert words_a_sentence(page) == pytest.approx(4.0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: Path) -> None:
    mean = words_a_sentence(page.read_text())
    assert mean <= LONGEST_MEAN, (
        f"{page.relative_to(ROOT)} has {mean:.1f} words a sentence; "
        f"write shorter ones, at most {LONGEST_MEAN:g} on average"
    )


def test_the_readme_is_short() -> None:
    lines = len((ROOT / "README.md").read_text().splitlines())
    assert lines <= LONGEST_README, f"README.md has {lines} lines; move some to docs/"
