from __future__ import annotations

import pytest

from connectors.kafka.admin.replicas import ReplicaStatus, replica_status
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import DAY, Topic, Topics
from tests.eventually import eventually

pytestmark = pytest.mark.flow


async def test_healthy_cluster_has_all_leaders_and_replicas(broker: EmbeddedBroker, topics: Topics) -> None:
    nowhere = Topic("nowhere", (), DAY, 1)

    async def well() -> bool:
        return await replica_status(broker.bootstrap_servers, [*topics.all, nowhere]) == ReplicaStatus(1, (), ())

    await eventually(well)
