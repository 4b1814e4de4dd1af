from .store.episode import Episode as Episode
from .store.store import EpisodeStore as EpisodeStore
