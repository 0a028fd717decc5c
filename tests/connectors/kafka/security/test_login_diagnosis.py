from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError

from connectors.kafka import BrokerUnavailableError, SecurityError
from connectors.kafka.security.login_diagnosis import diagnose_login

# what a real Kafka does at each wrong door is in tests/flow/security/test_kafka_clients_secured.py


async def test_missing_acl_is_a_security_error() -> None:
    diagnosed = await diagnose_login({"bootstrap_servers": "kafka:1"}, GroupAuthorizationFailedError())

    assert isinstance(diagnosed, SecurityError)
    assert str(diagnosed).startswith("Kafka at kafka:1 denies permission (GroupAuthorizationFailedError); docs/")


@pytest.mark.parametrize("error", [KafkaConnectionError(), ConnectionRefusedError()], ids=repr)
async def test_no_listener_is_broker_unavailable(error: Exception, free_port: Callable[[], int]) -> None:
    diagnosed = await diagnose_login({"bootstrap_servers": f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}"}, error)

    assert type(diagnosed) is BrokerUnavailableError
    assert "does not answer; is it running?" in str(diagnosed)


async def test_diagnosis_after_a_timeout_does_not_probe() -> None:
    began = time.monotonic()

    diagnosed = await diagnose_login({"bootstrap_servers": "192.0.2.1:9092"}, TimeoutError())

    assert type(diagnosed) is BrokerUnavailableError
    assert time.monotonic() - began < 1
