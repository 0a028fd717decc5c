"""The first figures are those of AWS's own test suite for Signature Version 4, and of its documentation."""

from __future__ import annotations

import datetime as dt

import pytest

from connectors.providers.bedrock.sigv4 import Credentials, RequestToSign, sign

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CREDENTIALS = Credentials("AKIDEXAMPLE", SECRET)
NOW = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
LETTERS = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def a_request(
    method: str = "GET", path: str = "/", query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> RequestToSign:
    return RequestToSign(method, path, query, {"host": "example.amazonaws.com", **(headers or {})}, body)


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (a_request(), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (a_request("POST"), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (a_request(path="/ሴ"), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        (a_request(path="/example space/"), "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
        (a_request(path=LETTERS), "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        (
            a_request(query="Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            a_request(headers={"My-Header1": " value1", "My-Header2": ' "a   b   c"'}),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            a_request("POST", headers={"Content-Type": "application/x-www-form-urlencoded"}, body=b"Param1=value1"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get", "post", "utf8", "space", "unreserved", "query-order", "header-trim", "body"],
)
def test_signature_matches_awss_test_suite(request_: RequestToSign, signature: str) -> None:
    headers = sign(request_, CREDENTIALS, "us-east-1", "service", NOW)

    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["authorization"].rpartition("Signature=")[2] == signature


def test_signature_matches_awss_documentation() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "host": "iam.amazonaws.com"}
    request = RequestToSign("GET", "/", "Action=ListUsers&Version=2010-05-08", headers, b"")

    signed = sign(request, CREDENTIALS, "us-east-1", "iam", NOW)

    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize(
    ("model", "signature"),
    [
        (
            "eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0",
            "b08e1957f57c9683dd9d1c0d1e176852444f1ca893febf7e0c8966daf054af2c",
        ),
        (
            "arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc",
            "65daa0655b75ca5d66aadf0b2678748dc30a3e5018bf10a0bb0e5e1f689450fb",
        ),
    ],
)
def test_path_signature_matches_botocore(model: str, signature: str) -> None:
    credentials = Credentials("AKIDEXAMPLE", SECRET, "token/1=")
    host = {"host": "bedrock-runtime.eu-central-1.amazonaws.com"}
    request = RequestToSign("POST", f"/model/{model}/converse", "", host, b'{"messages":[]}')

    headers = sign(request, credentials, "eu-central-1", "bedrock", NOW)

    assert headers["x-amz-security-token"] == "token/1="
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in headers["authorization"]
    assert headers["authorization"].endswith(f"Signature={signature}")


def test_timestamp_is_in_utc() -> None:
    elsewhere = NOW.astimezone(dt.timezone(dt.timedelta(hours=13)))

    assert sign(a_request(), CREDENTIALS, "r", "s", elsewhere) == sign(a_request(), CREDENTIALS, "r", "s", NOW)


def test_secrets_are_in_no_repr() -> None:
    assert SECRET not in repr(CREDENTIALS)
    assert "token" not in repr(Credentials("A", "b", "token")).replace("session_token", "")
