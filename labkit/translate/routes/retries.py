"""Retry policies: what Istio retries by default, and what a VirtualService changes.

As istiod's `pilot/pkg/networking/core/route/retry/retry.go` makes them.
"""

from __future__ import annotations

from http import HTTPStatus

from labkit.jsontypes import Json
from labkit.translate.values import duration

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
OTHER_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"  # noqa: E501
    },
}
OTHER_PRIORITIES = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",  # noqa: E501
        "update_frequency": 2,
    },
}
# Go, in which Istio is written, has names for these status codes too, or lacks them.
GO_ONLY: set[int] = set()
STATUS_CODES = {int(status) for status in HTTPStatus} | GO_ONLY


def retry_policy(retries: Json | None, hashed: bool) -> Json | None:
    """The retry policy of a route; None switches retries off (`attempts: 0`).

    `hashed`: the destination is chosen by a consistent hash, so a retry must not insist on another
    host.
    """
    policy: Json = {
        "retry_on": DEFAULT_RETRY_ON,
        "num_retries": 2,
        "host_selection_retry_max_attempts": "5",
    }
    if not hashed:
        policy["retry_host_predicate"] = [OTHER_HOSTS]
    if retries is None:
        return policy
    attempts = retries.get("attempts") or 0
    if attempts <= 0:
        return None
    policy["num_retries"] = attempts
    if retries.get("retryOn"):
        policy["retry_on"], codes = conditions_and_codes(str(retries["retryOn"]))
        if codes:
            policy["retriable_status_codes"] = codes
    if retries.get("perTryTimeout"):
        policy["per_try_timeout"] = duration(retries["perTryTimeout"])
    if retries.get("retryIgnorePreviousHosts") is not None:
        policy.pop("retry_host_predicate", None)
        if retries["retryIgnorePreviousHosts"]:
            policy["retry_host_predicate"] = [OTHER_HOSTS]
    if retries.get("retryRemoteLocalities"):
        policy["retry_priority"] = OTHER_PRIORITIES
    if retries.get("backoff"):
        policy["retry_back_off"] = {"base_interval": duration(retries["backoff"])}
    return policy


def inbound_retry_policy() -> Json:
    """A request that the application never saw (a closed idle connection) is sent again, whatever
    its method.
    """
    return {"retry_on": "reset-before-request", "num_retries": 2}


def conditions_and_codes(retry_on: str) -> tuple[str, list[int]]:
    """Numbers among the conditions are status codes to retry.

    >>> conditions_and_codes("5xx,503")
    ('5xx,retriable-status-codes', [503])
    """
    conditions: list[str] = []
    codes: list[int] = []
    for part in (word.strip() for word in retry_on.split(",")):
        if part.lstrip("+-").isdigit() and int(part) in STATUS_CODES:
            codes.append(int(part))
        elif part:
            conditions.append(part)
    text = ",".join(conditions)
    if codes and "retriable-status-codes" not in text:
        text += ",retriable-status-codes"
    return text, codes
