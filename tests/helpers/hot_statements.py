"""The statements that a busy service executes all the time: each must find its rows by an index."""

from answerback.ask import store as questions
from answerback.conversations import store as conversations
from answerback.database.operation import Statement
from answerback.http import idempotency_store as idempotency
from answerback.jobs import (
    accept,
    claim,
    depth,
    erase,
    events,
    expire,
    finish,
    orphans,
    pages,
    prune,
    read,
    recover,
    reschedule,
    resolve,
)
from answerback.jobs import order as order_of_jobs
from answerback.queue import fifo
from answerback.webhooks import bulk_resend, listed, notify, order
from answerback.webhooks import claim as claiming
from answerback.webhooks import erase as erasing
from answerback.webhooks import expire as expiring
from answerback.webhooks import prune as pruning
from answerback.webhooks import recover as recovering
from answerback.webhooks import report as reporting
from answerback.webhooks import resend as resending
from answerback.webhooks import store as deliveries

JOBS: dict[str, Statement] = {
    "FIND_BY_KEY": accept.FIND_BY_KEY,
    "FIND_RETRY": accept.FIND_RETRY,
    "JOIN_CONVERSATION": accept.JOIN_CONVERSATION,
    "INSERT_JOB": accept.INSERT_JOB,
    "DUE": claim.DUE,
    "PROMOTE": claim.PROMOTE,
    "CLAIM_JOBS": claim.CLAIM,
    "CLAIM_OF_TENANT": claim.CLAIM_OF_TENANT,
    "WALK_TENANTS": claim.WALK,
    "NEXT_SCHEDULED": claim.NEXT_SCHEDULED,
    "EXTEND_JOB": claim.EXTEND,
    "RELEASE_JOB": claim.RELEASE,
    "RELEASE_UNCONFIRMED_JOBS": claim.RELEASE_UNCONFIRMED,
    "PUT_OFF_UNREADABLE": reschedule.PUT_OFF_UNREADABLE,
    "LOCK_CONVERSATIONS": fifo.LOCK_CONVERSATIONS,
    "TRY_LOCK_CONVERSATION": fifo.TRY_LOCK_CONVERSATION,
    "FINISH": finish.FINISH,
    "END_OPEN": finish.END_OPEN,
    "END_LOST": finish.END_LOST,
    "PUT_OFF_ATTEMPTED": reschedule.PUT_OFF_ATTEMPTED,
    "PUT_OFF_UNASKED": reschedule.PUT_OFF_UNASKED,
    "HAND_OVER": reschedule.HAND_OVER,
    "LEAVE_CONVERSATION": finish.LEAVE_CONVERSATION,
    "INSERT_ITEMS": finish.INSERT_ITEMS,
    "RELEASE_NEXT_JOB": order_of_jobs.RELEASE_NEXT,
    "LOST_JOBS": recover.LOST_JOBS,
    "TAKE_BACK_JOB": recover.TAKE_BACK,
    "QUARANTINE_DUE": recover.QUARANTINE_DUE,
    "RELEASE_QUARANTINED": recover.RELEASE_QUARANTINED,
    "UNANSWERED_JOBS": expire.UNANSWERED_JOBS,
    "OVERDUE_JOBS": expire.OVERDUE_JOBS,
    "ORPHANED_JOBS": orphans.ORPHANED,
    "OLD_JOBS": prune.OLD_JOBS,
    "PRUNE_ITEMS": prune.PRUNE_ITEMS,
    "PRUNE_JOB": prune.PRUNE_JOB,
    "PRUNE_CONVERSATIONS": prune.PRUNE_CONVERSATIONS,
    "FIND_JOB": read.FIND_JOB,
    "ATTEMPTS_OF": read.ATTEMPTS_OF,
    "CONVERSATION": read.CONVERSATION,
    "KINDS_OF_TENANT": pages.KINDS,
    "LIST_OF_TENANT": pages.OF_TENANT,
    "LIST_ENDED_OF_CONVERSATION": pages.ENDED_OF_CONVERSATION,
    "LIST_HELD_OF_CONVERSATION": pages.HELD_OF_CONVERSATION,
    "HEAD_OF_CONVERSATION": pages.HEAD_OF_CONVERSATION,
    "LISTED_SIZES": pages.SIZES,
    "LISTED_JOBS": pages.SHOWN,
    "LISTED_FACTS": pages.FACTS,
    "FIND_RESOLVED": resolve.FIND,
    "DELIVERED_AT": resolve.DELIVERED_AT,
    "ENDED_OF": erase.ENDED_OF,
    "REDACT": erase.REDACT,
    "APPEND_EVENTS": events.APPEND,
    "FORGIVE": events.FORGIVE,
    "LOOK_AT_JOB": events.LOOK,
    "ALL_EVENTS": events.ALL,
    "EVENTS_AFTER": events.AFTER,
    "LAST_EVENT": events.LAST,
    "DELETE_EVENTS": events.DELETE,
    "NEXT_QUEUED": depth.NEXT_QUEUED,
    "OPEN_JOBS": depth.OPEN_JOBS,
    **{f"COUNT_{state}": statement for state, statement in depth.COUNT.items()},
}
CONVERSATIONS: dict[str, Statement] = {
    "FIND_CONVERSATION": conversations.FIND,
    "REMEMBERED": conversations.REMEMBERED,
    "SIZES_OF_ENTRIES": conversations.SIZES,
    "NEWEST": conversations.NEWEST,
    "ERASED_THROUGH": conversations.ERASED_THROUGH,
    "ERASE_THROUGH": conversations.ERASE_THROUGH,
    "ERASE_ITEMS": conversations.ERASE_ITEMS,
}
DELIVERIES: dict[str, Statement] = {
    "WALK": claiming.WALK,
    "CLAIM_DUE": claiming.CLAIM_DUE,
    "CLAIM_UNREACHED": claiming.CLAIM_UNREACHED,
    "NEXT_HERE": claiming.NEXT_HERE,
    "NOTIFY_URL": notify.NOTIFY_URL,
    "HEAD_OF_DELIVERIES": order.HEAD,
    "NOTIFY_ENDPOINTS": notify.NOTIFY_ENDPOINTS,
    "RELEASE_NEXT": order.RELEASE_NEXT,
    "REPORT": reporting.REPORT,
    "RELEASE": reporting.RELEASE,
    "RELEASE_UNCONFIRMED": reporting.RELEASE_UNCONFIRMED,
    "EXTEND": reporting.EXTEND,
    "FIND_LOST": recovering.FIND_LOST,
    "TAKE_BACK": recovering.TAKE_BACK,
    "FIND_OVERDUE": expiring.FIND_OVERDUE,
    "EXPIRE": expiring.EXPIRE,
    "PRUNE_DELIVERIES": pruning.PRUNE,
    "DELIVERIES_OF_JOB": deliveries.OF_JOB,
    "LIST_BY_DELIVERY": listed.JOBS_BY_DELIVERY,
    "LIST_SENDING": listed.JOBS_SENDING,
    "OWN_DELIVERIES": listed.OWN,
    "LIST_AMONG_JOBS": listed.AMONG_JOBS,
    "RESEND": resending.RESEND,
    "DEAD_PAGE": bulk_resend.DEAD_PAGE,
    "PENDING_PAGE": bulk_resend.PENDING_PAGE,
    "RESEND_PAGE": bulk_resend.RESEND_PAGE,
    "ERASE_BODIES": erasing.ERASE_BODIES,
}
OTHERS: dict[str, Statement] = {
    "FIND_RECORD": idempotency.FIND,
    "EXTEND_RECORD": idempotency.EXTEND,
    "STORE_RESPONSE": idempotency.STORE,
    "FORGET_RECORD": idempotency.RELEASE,
    "PRUNE_RECORDS": idempotency.PRUNE,
    "LAST_ANSWERED_AT": questions.LAST_ANSWERED_AT,
    "SIZES_OF_QUESTIONS": questions.SIZES,
    "LIST_QUESTIONS": questions.LIST_QUESTIONS,
}
HOT = JOBS | CONVERSATIONS | DELIVERIES | OTHERS
