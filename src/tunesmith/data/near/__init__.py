"""Near-duplicates: which pairs to compare (`index`), what near is (`rule`), what belongs together (`clusters`, `conflicts`)."""

from tunesmith.data.near.clusters import Clusters
from tunesmith.data.near.conflicts import Conflicts
from tunesmith.data.near.find import NearDuplicates

__all__ = ["Clusters", "Conflicts", "NearDuplicates"]
