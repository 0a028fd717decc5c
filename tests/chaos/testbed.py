"""Testbed: everything that a fault may act on."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from schemas.kafka.topics import Topics
from tests.chaos.cluster import KafkaCluster
from tests.chaos.disk import Disk
from tests.chaos.gateway import ChaosGateway
from tests.chaos.load import OpenLoopLoad
from tests.chaos.mock_provider import MockProvider
from tests.chaos.verification.evidence import RecordId


@dataclass(slots=True)
class Testbed:
    """The running parts of a chaos run."""

    cluster: KafkaCluster
    gateway: ChaosGateway
    disk: Disk
    provider: MockProvider
    load: OpenLoopLoad
    topics: Topics
    random: random.Random
    poison: set[RecordId] = field(default_factory=set)
    """Records that were injected to be undecodable."""
