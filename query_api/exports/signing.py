"""Addresses that open one export's file until a moment, for whoever has them: HMAC-SHA256 over id and expiry.

Pure. A changed address and one that was signed with another secret are refused alike; only whoever has a genuine one
learns that it is too old.
"""

import hmac

from runtime.http_errors import ApiError


def signature(secret: str, export_id: str, expires: int) -> str:
    """Of an address that is good until `expires`, in Unix seconds; hexadecimal."""
    return hmac.digest(secret.encode(), f"export\n{export_id}\n{expires}".encode(), "sha256").hex()


def check(secret: str, export_id: str, expires: str, given: str, now: float) -> None:
    """ApiError 403 where the address is not one of ours, 410 where it is and its time is over."""
    canonical = expires.isascii() and expires.isdigit() and len(expires) <= 12 and str(int(expires)) == expires
    wanted = signature(secret, export_id, int(expires) if canonical else 0)
    if not hmac.compare_digest(wanted.encode(), given.encode(errors="replace")) or not canonical:
        raise ApiError(
            f"this address was changed or never given out: ask GET /v1/logs/exports/{export_id[:60]}/download for one",
            "signature",
            status=403,
        )
    if int(expires) <= now:
        raise ApiError(
            f"this address has expired: ask GET /v1/logs/exports/{export_id}/download for a new one",
            "expires",
            status=410,
        )
