from .errors import UserError as UserError
from .seeding import rng as rng
from .seeding import seed_for as seed_for
