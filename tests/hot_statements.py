"""The statements that a busy service executes all the time: each must find its rows by an index."""

from answerback.ask import store as questions
from answerback.conversations import store as conversations
from answerback.conversations.superseded import store as remembering
from answerback.http import idempotency_store as idempotency
from answerback.jobs import accept as accepting
from answerback.jobs import awaiting
from answerback.jobs import finish as ending
from answerback.jobs import read as reading
from answerback.jobs import recover as sweeping
from answerback.queue import fifo as lines
from answerback.queue import leases as leasing
from answerback.webhooks import claim as sending
from answerback.webhooks import report as delivering

HOT = {
    "FIND_BY_KEY": accepting.FIND_BY_KEY,
    "FIND_RETRY": accepting.FIND_RETRY,
    "CLAIM_JOBS": leasing.CLAIM_JOBS,
    "CLAIM_SUSPECT": leasing.CLAIM_SUSPECT,
    "CLAIM_DELIVERIES": sending.CLAIM_DELIVERIES,
    "CLAIM_OPEN_DELIVERIES": sending.CLAIM_OPEN_DELIVERIES,
    "NEXT_JOB": leasing.NEXT_JOB,
    "NEXT_DELIVERY": sending.NEXT_DELIVERY,
    "NEXT_OPEN_DELIVERY": sending.NEXT_OPEN_DELIVERY,
    "PLACE": sending.PLACE,
    "EXTEND_JOB": leasing.EXTEND_JOB,
    "RELEASE_JOB": leasing.RELEASE_JOB,
    "END_ATTEMPT": leasing.END_ATTEMPT,
    "FINISH": ending.FINISH,
    "END_OPEN": ending.END_OPEN,
    "REQUEUE": ending.REQUEUE,
    "LEAVE_CONVERSATION": ending.LEAVE_CONVERSATION,
    "INSERT_DELIVERY": ending.INSERT_DELIVERY,
    "RELEASE_NEXT_JOB": lines.RELEASE_NEXT_JOB,
    "RELEASE_NEXT_DELIVERY": lines.RELEASE_NEXT_DELIVERY,
    "REPORT": delivering.REPORT,
    "LOST_JOBS": sweeping.LOST_JOBS,
    "LOST_DELIVERIES": sweeping.LOST_DELIVERIES,
    "OVERDUE_JOBS": sweeping.OVERDUE_JOBS,
    "OLD_JOBS": sweeping.OLD_JOBS,
    "PRUNE_CONVERSATIONS": sweeping.PRUNE_CONVERSATIONS,
    "PRUNE_ATTEMPTS": sweeping.PRUNE_ATTEMPTS,
    "PRUNE_TURN": sweeping.PRUNE_TURN,
    "RECENT_TURNS": remembering.RECENT_TURNS,
    "FIND_CONVERSATION": conversations.FIND,
    "REMEMBERED": conversations.REMEMBERED,
    "NEWEST_ENTRIES": conversations.NEWEST,
    "FIND_JOB": reading.FIND_JOB,
    "DELIVERY_OF": reading.DELIVERY_OF,
    "LIST_JOBS": reading.LIST_JOBS,
    "ERASE_JOBS": remembering.ERASE_JOBS,
    "ERASE_BODIES": remembering.ERASE_BODIES,
    "TAKE_BACK_JOB": sweeping.TAKE_BACK_JOB,
    "PRUNE_DELIVERY": sweeping.PRUNE_DELIVERY,
    "FIND_CALL": idempotency.FIND,
    "EXTEND_CALL": idempotency.EXTEND,
    "KEEP_RESPONSE": idempotency.KEEP,
    "FORGET_CALL": idempotency.FORGET,
    "PRUNE_REPLAYS": idempotency.PRUNE,
    "LAST_ANSWERED_AT": questions.LAST_ANSWERED_AT,
    "UNANSWERED_JOBS": awaiting.UNANSWERED_JOBS,
}
