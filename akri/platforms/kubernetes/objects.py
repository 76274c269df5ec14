"""Creating, changing and deleting objects of any kind on an API server, and what its answers mean.

A change is one patch that tests the revision it was planned on: nobody's write is lost, and of several at once one succeeds
and the others plan anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, assert_never

from attrs import frozen

from akri.core.errors import OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.answers import Next, judge
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.patches import JSON, Request
from akri.platforms.kubernetes.reading import members
from akri.platforms.kubernetes.rendering import deletion
from akri.platforms.kubernetes.resources import Resource
from akri.ports import Done, Outcome, Refusal, Refused, Unknown

__all__ = ["Change", "ObjectWrites"]

Change: TypeAlias = Callable[[JsonObject | None], Request | Outcome]
"""Given the object as the server has it (None: there is none), the request that changes it, or how it ends without one."""

_TRIES: Final = 4
"""How often a change is planned anew because others changed the object at the same time; its caller asks again later."""
_NOT_FOUND: Final = 404


@frozen
class _Trouble:
    """The server refused a request, which did nothing."""

    meaning: Refusal | Next
    message: str

    @property
    def outcome(self) -> Refused | Unknown:
        """How the write ended, if there is nothing more to find out."""
        if isinstance(self.meaning, Refusal):
            return Refused(self.meaning, self.message)
        match self.meaning:
            case Next.GONE:
                return Refused(Refusal.MISSING, self.message)
            case Next.READ:
                return Refused(Refusal.CONFLICT, self.message)
            case Next.AGAIN:
                return Unknown(self.message)
        assert_never(self.meaning)


class ObjectWrites:
    """Writes objects under one field manager."""

    def __init__(self, client: ApiClient, manager: str) -> None:
        """Take the client that speaks for whoever writes, and under which name its fields are managed."""
        self._client = client
        self._parameters: Mapping[str, str] = {"fieldManager": manager}

    async def create(self, resource: Resource, namespace: str, document: JsonObject) -> Outcome:
        """Create an object. If there is one of its name that is left alone, and it is done: somebody was first, or an answer was lost."""
        answer = await self._send(resource.collection(namespace), Request("POST", JSON, document))
        if isinstance(answer, _Trouble):
            return Done(None) if answer.meaning is Next.READ else answer.outcome
        return answer if isinstance(answer, Unknown) else Done(None)

    async def delete(self, resource: Resource, key: ObjectKey, uid: str) -> Outcome:
        """Delete this very object, and in the background what it owns. If it is gone, or another one has its name, it is done."""
        answer = await self._send(resource.object(key), Request("DELETE", JSON, deletion(uid)))
        if not isinstance(answer, _Trouble):
            return answer if isinstance(answer, Unknown) else Done(None)
        if answer.meaning is Next.GONE:
            return Done(None)
        if answer.meaning is not Next.READ:
            return answer.outcome
        found = await self._read(resource, key)
        if isinstance(found, Refused | Unknown):
            return found
        return answer.outcome if found is not None and _metadata(found).get("uid") == uid else Done(None)

    async def change(self, resource: Resource, key: ObjectKey, plan: Change) -> JsonObject | Outcome:
        """Read an object and send what `plan` makes of it, anew if others changed it meanwhile; return the object after it."""
        former, trouble = "", _Trouble(Next.AGAIN, "")
        for _ in range(_TRIES):
            found = await self._read(resource, key)
            if isinstance(found, Refused | Unknown):
                return found
            revision = str(_metadata(found).get("resourceVersion"))
            if trouble.meaning is Next.READ and revision == former:
                # It is as the request expected it, so the request itself was refused.
                return Refused(Refusal.INVALID, trouble.message)
            request = plan(found)
            if not isinstance(request, Request):
                return request
            answer = await self._send(resource.object(key), request)
            if not isinstance(answer, _Trouble):
                return answer
            if isinstance(answer.meaning, Refusal):
                return answer.outcome
            former, trouble = revision, answer
        return trouble.outcome

    async def _read(self, resource: Resource, key: ObjectKey) -> JsonObject | Refused | Unknown | None:
        try:
            return await self._client.request("GET", resource.object(key))
        except ApiStatusError as error:
            return None if error.status == _NOT_FOUND else _Trouble(judge("PATCH", error.status, error.reason), str(error)).outcome
        except OutcomeUnknownError as error:
            return Unknown(str(error))

    async def _send(self, path: str, request: Request) -> JsonObject | Unknown | _Trouble:
        try:
            return await self._client.request(
                request.method, path, body=request.body, content_type=request.content_type, parameters=self._parameters
            )
        except ApiStatusError as error:
            return _Trouble(judge(request.method, error.status, error.reason), str(error))
        except OutcomeUnknownError as error:
            return Unknown(str(error))


def _metadata(document: JsonObject | None) -> JsonObject:
    return members(None if document is None else document.get("metadata"))
