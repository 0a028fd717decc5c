"""Everything that a fault may lay hands on."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from schemas.kafka.topics import Topics
from tests.chaos.cluster import Cluster
from tests.chaos.disk import Disk
from tests.chaos.double import ProviderDouble
from tests.chaos.evidence import Place
from tests.chaos.gateway import Gateway
from tests.chaos.load import Load


@dataclass(slots=True)
class Scene:
    """A run that is under way."""

    cluster: Cluster
    gateway: Gateway
    disk: Disk
    provider: ProviderDouble
    load: Load
    topics: Topics
    draw: random.Random
    poison: set[Place] = field(default_factory=set)
    """What was planted to be unreadable."""
