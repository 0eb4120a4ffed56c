"""Results of two or more groups of recordings, compared.

`groups` says what is compared, `measures` what is measured of each recording, `statistics` how
groups differ, `report` writes it down.
"""

from .groups import Recording, read_groups
from .statistics import Comparison, compare

__all__ = ["Comparison", "Recording", "compare", "read_groups"]
