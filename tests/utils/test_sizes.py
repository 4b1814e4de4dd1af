import pytest

from dexbench.utils.sizes import show_size


@pytest.mark.parametrize(
    ("size", "shown"),
    [(900, "0.9 kB"), (31_000, "31.0 kB"), (99_900, "99.9 kB"), (1e5, "0.1 MB"), (1.3e6, "1.3 MB")],
)
def test_small_sizes_are_in_kilobytes(size: int, shown: str) -> None:
    assert show_size(size) == shown
