"""Sizes of files, as people read them."""


def show_size(size: int) -> str:
    """Return a size in MB, or in kB where that would be less than 0.1 MB.

    Args:
        size: Bytes.
    """
    return f"{size / 1e6:.1f} MB" if size >= 0.1e6 else f"{size / 1e3:.1f} kB"
