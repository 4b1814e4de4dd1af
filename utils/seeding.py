"""The one source of randomness in dexbench.

Every random stream is named by a tuple of keys, such as ``("suite", "v1", "grasp", 7)``. Streams
with different keys are independent, so a trial never depends on what was drawn before it.
"""

import hashlib

import numpy as np

Key = int | str


def _entropy(keys: tuple[Key, ...]) -> list[int]:
    """Return the 256-bit digest of the keys as eight 32-bit words; types are part of the name."""
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]


def rng(*keys: Key) -> np.random.Generator:
    """Return the generator of the stream named by ``keys``; the same keys give the same stream."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(_entropy(keys))))


def noise_seed(*keys: Key) -> int:
    """Return a 31-bit seed named by ``keys``, for the integer noise that textures are made of."""
    return _entropy(keys)[1] % 2**31


def seed_for(*keys: Key) -> int:
    """Return a 63-bit seed named by ``keys``, for code that takes an integer."""
    words = _entropy(keys)
    return (words[0] << 32 | words[1]) >> 1
