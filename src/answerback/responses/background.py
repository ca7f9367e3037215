"""Responses that run as jobs: those that nobody waits for, and those of conversations or with an `Idempotency-Key`."""

from answerback.accounts.model import Caller
from answerback.http.openai_errors import InvalidParameter
from answerback.jobs.canceller import Canceller
from answerback.jobs.kind import ENDED
from answerback.jobs.model import Accepted, Submission, Tried
from answerback.jobs.repeat import stored_hash
from answerback.jobs.submit import Submitter, fingerprint
from answerback.kernel.errors import Conflict, NotFound, ResponseNotStored
from answerback.kernel.json import Json
from answerback.responses import ids
from answerback.responses.answers.opening import Opening
from answerback.responses.body import response_body
from answerback.responses.context import Contexts
from answerback.responses.conversations.model import Conversation
from answerback.responses.conversations.store import ConversationLog
from answerback.responses.items.pairs import are_paired, check_input
from answerback.responses.kind import ResponseKind
from answerback.responses.model import Asked
from answerback.responses.stored.rows import Opened
from answerback.responses.stored.store import ResponseStore
from answerback.responses.tools.toolbox import Toolbox


class Background:
    """`default_model` is shown until it is known which one answered."""

    def __init__(
        self,
        kind: ResponseKind,
        submitter: Submitter,
        canceller: Canceller,
        store: ResponseStore,
        log: ConversationLog,
        contexts: Contexts,
        default_model: str,
    ) -> None:
        self._kind = kind
        self._submitter = submitter
        self._canceller = canceller
        self._store = store
        self._log = log
        self._contexts = contexts
        self._default_model = default_model

    async def start(
        self, caller: Caller, asked: Asked, idempotency_key: str | None, tried: Tried | None = None
    ) -> tuple[Opened, bool]:
        """The response, accepted, and whether this call created it. Without a key, another one than the first of a
        client that says which it has `tried` gets the job of that. Raises what a submission and a context raise;
        NotFound where there is no such conversation, ResponseNotStored where the response of this key was deleted."""
        accepted = await self._submit(caller, asked, idempotency_key, tried)
        return Opened(ids.response_id(accepted.job_id), asked, accepted.created_at), accepted.created

    async def _submit(self, caller: Caller, asked: Asked, idempotency_key: str | None, tried: Tried | None) -> Accepted:
        tenant_id, request_hash, earlier = caller.tenant_id, None, None
        if idempotency_key is not None:
            # Before what it goes on from is read: that may be deleted by the time a request is repeated.
            request_hash = fingerprint(self._kind.encode(asked), None)
            earlier = await self._submitter.earlier(tenant_id, idempotency_key, request_hash)
            if earlier is not None:
                await self._check_kept(tenant_id, ids.response_id(earlier.job_id))
        elif tried is not None:
            request_hash = stored_hash(tried)
            earlier = await self._undeleted(tenant_id, await self._submitter.take_earlier(tenant_id, tried))
        if earlier is not None:
            return earlier
        asked = await self._checked(tenant_id, asked)
        key = None if asked.conversation is None else ids.conversation_key(asked.conversation)
        return await self._submitter.submit(
            Submission(
                kind=self._kind,
                args=asked,
                tenant_id=tenant_id,
                callback_url=None,
                conversation_key=key,
                idempotency_key=idempotency_key,
                request_hash=request_hash,
                key_id=caller.key_id,
                transient=not asked.stored,
            )
        )

    async def _checked(self, tenant_id: str, asked: Asked) -> Asked:
        """The request with its references resolved."""
        conversation = None
        if asked.conversation is not None:
            try:
                conversation = await self._log.get(tenant_id, asked.conversation)
            except NotFound as gone:
                raise NotFound(gone.message, "conversation") from None
        resolved, items = await self._contexts.resolve(tenant_id, asked)
        if conversation is None:
            Opening(resolved, items, Toolbox.in_context(resolved, items))
        elif asked.background:
            await self._check_turn(tenant_id, conversation, resolved)
        return resolved

    async def _check_turn(self, tenant_id: str, conversation: Conversation, asked: Asked) -> None:
        """Refuses at once what its turn would refuse."""
        if not conversation.pending:
            before = await self._log.all(tenant_id, conversation.id, shortened=asked.shortened)
            items = [*before, *asked.input]
            Opening(asked, items, Toolbox.in_context(asked, items))
        elif are_paired(asked.input):
            # What stands before this input is known once its turn has come; but nobody can have the output of a call
            # that is still to be made.
            check_input(await self._log.all(tenant_id, conversation.id, shortened=asked.shortened), asked.input)

    async def _check_kept(self, tenant_id: str, response_id: str) -> None:
        try:
            await self._store.end(tenant_id, response_id)
        except NotFound:
            words = "the response of this request was deleted; use a new key to ask anew"
            raise ResponseNotStored(words) from None

    async def _undeleted(self, tenant_id: str, earlier: Accepted | None) -> Accepted | None:
        """None for the job of a response that was deleted: a retry has no key that stands for that one alone."""
        if earlier is None:
            return None
        try:
            await self._store.find(tenant_id, ids.response_id(earlier.job_id))
        except NotFound:
            return None
        return earlier

    async def cancel(self, tenant_id: str, response_id: str) -> dict[str, Json]:
        """The response, unchanged where it has ended. Raises NotFound, InvalidParameter."""
        found = await self._store.get(tenant_id, response_id)
        if not found.background:
            raise InvalidParameter("response_id", "only a background response can be cancelled")
        await self.end(tenant_id, found.job_id)
        found = await self._store.get(tenant_id, response_id)
        return response_body(found.asked, found.progress(self._default_model), stored=True)

    async def delete(self, tenant_id: str, response_id: str) -> None:
        """One that has not ended is cancelled; one that is not to be stored is held for its key. Raises NotFound."""
        found = await self._store.find(tenant_id, response_id)
        if found.state not in ENDED:
            await self.end(tenant_id, found.job_id)
        await self._store.erase(tenant_id, response_id)

    async def end(self, tenant_id: str, job_id: str) -> None:
        """Cancels a job that has not ended."""
        try:
            await self._canceller.cancel(tenant_id, job_id)
        except Conflict:
            # It has ended already, by itself.
            return
