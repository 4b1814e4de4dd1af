"""Opens what a command is to look at as clips, whoever recorded them."""

from pathlib import Path

from dexbench.data_collection.readers.episodes import EpisodeSet
from dexbench.data_collection.readers.index import Index, make_index
from dexbench.data_collection.store.store import EpisodeStore


def open_set(path: Path) -> Index:
    """Return the index of a folder in any layout that dexbench reads, or the one that a file is.

    Args:
        path: The folder, a released HDF5, or an index that `dexbench data index` wrote. Of a folder
            all poses are read, but no picture.

    Raises:
        UserError: It holds no clips, an index is damaged, or an episode set is.
    """
    if path.suffix == ".json" and path.is_file():
        return Index.read(path)
    index = make_index(path, progress=True, workers=0, decode=False)
    if index.layout == EpisodeSet.name and index.problems:
        # Unlike other people's files, what was recorded here can be mended.
        first = index.problems[0]
        raise EpisodeStore(path).damaged(Path(first.file), first.what)
    return index


def robot_set(index: Index) -> EpisodeStore | None:
    """Return the set of robot episodes that an index is of, None if it is of other clips."""
    return EpisodeStore(index.root) if index.layout == EpisodeSet.name else None
