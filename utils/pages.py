"""HTML pages that need nothing beside them, and no network: what all of dexbench's pages share."""

from pathlib import Path
from typing import Any

from .errors import UserError
from .files import write_atomic
from .sizes import show_size

HERE = Path(__file__).parent


def render(folder: Path, **values: Any) -> str:
    """Fill in a folder's ``page.html``, which may include its ``page.css`` and our ``pages.css``.

    Args:
        folder: Of the template.
        values: What the template names; text is escaped, and a name without a value is an error.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, HERE]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html").render(**values).strip() + "\n"


def write(path: Path, page: str) -> None:
    """Write a page whole or not at all, and say where.

    Raises:
        UserError: It cannot be written there.
    """
    try:
        write_atomic(path, page)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error}); choose another --out") from error
    print(f"wrote {path}: {show_size(len(page.encode()))}")
