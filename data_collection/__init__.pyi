from .store.store import Episode as Episode
from .store.store import EpisodeStore as EpisodeStore
