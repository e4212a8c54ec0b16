"""Requests to a cluster, tried again as long as that helps, and its errors as ours."""

import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import msgspec

from tasks.errors import ConfigurationError, Unavailable
from worker.feeds.opensearch.access import Access, Patience
from worker.feeds.opensearch.refusals import READ_ONLY, Broken, Refusal, blocked, denied

logger = logging.getLogger(__name__)

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that pass by themselves: overload, a node that restarts, a proxy in between."""

Answer = dict[str, Any]
"""A JSON object of the API, which is read where it is asked for and goes no further."""


class Sender(Protocol):
    """`worker.feeds.opensearch.wire.Wire`."""

    def send(self, method: str, path: str, params: Mapping[str, str], body: bytes | None) -> Any:
        """One request, tried once. Raises `Refusal`, `Broken`, `ConfigurationError`."""

    def close(self) -> None:
        """Let go of the connections."""


class Client:
    """A cluster. One thread at a time."""

    def __init__(self, access: Access, patience: Patience | None = None) -> None:
        self.url = access.url
        self.patience = patience or Patience()
        self._wire = _wire(access, self.patience)
        self._ended = self._away = False

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        tolerate: Collection[int | str] = (),
        having: str | None = None,
        **params: str,
    ) -> Answer | None:
        """A request, tried again while that may help.

        Args:
            method: of HTTP.
            path: begins with `/`; of names that need no escaping.
            body: JSON.
            tolerate: statuses and kinds of refusals that are an answer too: `None`.
            having: what has to be in the answer; one without it comes from something else in between.
            params: of the query.

        Raises:
            Unavailable: there is no answer, or the index is not there.
            ConfigurationError: it is refused, whoever asks again.
        """
        failures = 0
        data = None if body is None else msgspec.json.encode(body)
        while True:
            try:
                return _having(having, self.once(method, path, data, params))
            except Refusal as refusal:
                if refusal.status in tolerate or refusal.kind in tolerate:
                    return None
                failures += 1
                self.failed(refusal, failures, f"{method} {path}")
            except Broken as broken:
                failures += 1
                self.failed(broken, failures, f"{method} {path}")

    def get(self, path: str, **params: str) -> Answer | None:
        """`ask` with GET, where nothing there is an answer."""
        return self.ask("GET", path, None, tolerate=(404,), **params)

    def need(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, having: str | None = None, **params: str
    ) -> Answer:
        """`ask`, where any refusal is an error."""
        answer = self.ask(method, path, body, having=having, **params)
        assert answer is not None
        return answer

    def once(self, method: str, path: str, body: bytes | None, params: Mapping[str, str]) -> Answer:
        """A request, tried once. Raises `Refusal`, `Broken`, `ConfigurationError`; `Unavailable` when all is to end."""
        if self._ended:
            raise Unavailable(f"OpenSearch at {self.url} did not answer, and is not asked again: it is time to end")
        answer = self._wire.send(method, path, params, body)
        self._away = False
        if isinstance(answer, list):
            return {"rows": answer}
        if not isinstance(answer, dict):
            raise Broken("an answer that is no JSON object")
        return answer

    def failed(self, error: Refusal | Broken, failures: int, what: str) -> None:
        """Wait until it is worth another try.

        Raises:
            Unavailable: after as many failures as `Patience` has (after one, if it was given up last time too), where
                trying again is in vain, and when it is time to end; then nothing is asked any more, since each request
                may take as long as an answer may.
            ConfigurationError: where the operator has to do something first.
        """
        if isinstance(error, Refusal):
            self._final(error, what)
        if self._away or failures >= self.patience.attempts:
            self._away = True
            raise Unavailable(f"OpenSearch at {self.url}, {what}, tried {failures} times: {error}") from error
        logger.warning("OpenSearch, %s: %s; trying again", what, error)
        if self.patience.pause(failures, error.retry_after if isinstance(error, Refusal) else None):
            self._ended = True
            raise Unavailable(
                f"OpenSearch at {self.url}, {what}: {error}; not tried again: it is time to end"
            ) from error

    def _final(self, refusal: Refusal, what: str) -> None:
        if blocked(refusal.kind, refusal.reason):
            raise ConfigurationError(READ_ONLY.format(refusal.reason)) from refusal
        if refusal.status in (401, 403):
            raise ConfigurationError(denied(refusal.status, refusal.reason, what)) from refusal
        if refusal.status == 404:
            raise Unavailable(f"OpenSearch at {self.url}, {what}: {refusal.reason or 'nothing there'}") from refusal
        if refusal.status not in TRANSIENT:
            raise ConfigurationError(f"OpenSearch at {self.url} refuses {what}: {refusal}") from refusal

    def close(self) -> None:
        """Let go of the connections."""
        self._wire.close()


def _having(name: str | None, answer: Answer) -> Answer:
    if name is not None and name not in answer:
        raise Broken(f"an answer without {name!r}")
    return answer


def _wire(access: Access, patience: Patience) -> Sender:
    try:
        from worker.feeds.opensearch.wire import Wire
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"OpenSearch needs a package that is not installed ({error.name}): pip install 'stockmeta[opensearch]'"
        ) from error
    return Wire(access, patience)
