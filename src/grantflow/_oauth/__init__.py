"""The client's side of OAuth 2.0 without I/O: requests are built, answers are read, and time is passed in."""

from grantflow._oauth._answers import (
    MALFORMED,
    TOKEN_TYPE,
    AnswerClass,
    TokenAnswer,
    error_word,
    read_revocation_answer,
    read_token_answer,
)
from grantflow._oauth._callback import Callback, check_issuer, parse_callback
from grantflow._oauth._carrier import HttpxCarrier
from grantflow._oauth._metadata import metadata_request, metadata_url, read_metadata
from grantflow._oauth._outgoing import (
    ClientProof,
    authorization_url,
    exchange_request,
    refresh_request,
    revocation_request,
)

__all__ = [
    "MALFORMED",
    "TOKEN_TYPE",
    "AnswerClass",
    "Callback",
    "ClientProof",
    "HttpxCarrier",
    "TokenAnswer",
    "authorization_url",
    "check_issuer",
    "error_word",
    "exchange_request",
    "metadata_request",
    "metadata_url",
    "parse_callback",
    "read_metadata",
    "read_revocation_answer",
    "read_token_answer",
    "refresh_request",
    "revocation_request",
]
