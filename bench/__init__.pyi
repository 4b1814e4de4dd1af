from .ledger.ledger import read_rows as read_rows
from .scores.statistics import mcnemar as mcnemar
from .scores.statistics import wilson as wilson
