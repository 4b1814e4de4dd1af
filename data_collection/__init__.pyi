from .readers.layouts import open_layout as open_layout
from .readers.sample import Sample as Sample
from .store.episode import Episode as Episode
from .store.store import EpisodeStore as EpisodeStore
