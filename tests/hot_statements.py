"""The statements that a busy service executes all the time: each must find its rows by an index."""

from answerback.ask import store as questions
from answerback.conversations import store as remembering
from answerback.http import idempotency_store as idempotency
from answerback.jobs import accept as accepting
from answerback.jobs import awaiting
from answerback.jobs import finish as ending
from answerback.jobs import read as reading
from answerback.jobs import recover as sweeping
from answerback.queue import fifo as lines
from answerback.queue import leases as leasing
from answerback.webhooks import claim as claiming
from answerback.webhooks import notify, order
from answerback.webhooks import recover as recovering
from answerback.webhooks import report as reporting
from answerback.webhooks import resend as resending
from answerback.webhooks import store as deliveries

HOT = {
    "FIND_BY_KEY": accepting.FIND_BY_KEY,
    "FIND_RETRY": accepting.FIND_RETRY,
    "CLAIM_JOBS": leasing.CLAIM_JOBS,
    "CLAIM_SUSPECT": leasing.CLAIM_SUSPECT,
    "NEXT_JOB": leasing.NEXT_JOB,
    "EXTEND_JOB": leasing.EXTEND_JOB,
    "RELEASE_JOB": leasing.RELEASE_JOB,
    "END_ATTEMPT": leasing.END_ATTEMPT,
    "FINISH": ending.FINISH,
    "END_OPEN": ending.END_OPEN,
    "REQUEUE": ending.REQUEUE,
    "LEAVE_CONVERSATION": ending.LEAVE_CONVERSATION,
    "RELEASE_NEXT_JOB": lines.RELEASE_NEXT_JOB,
    "LOST_JOBS": sweeping.LOST_JOBS,
    "OVERDUE_JOBS": sweeping.OVERDUE_JOBS,
    "OLD_JOBS": sweeping.OLD_JOBS,
    "PRUNE_CONVERSATIONS": sweeping.PRUNE_CONVERSATIONS,
    "PRUNE_ATTEMPTS": sweeping.PRUNE_ATTEMPTS,
    "PRUNE_TURN": sweeping.PRUNE_TURN,
    "RECENT_TURNS": remembering.RECENT_TURNS,
    "FIND_JOB": reading.FIND_JOB,
    "LIST_JOBS": reading.LIST_JOBS,
    "ERASE_JOBS": remembering.ERASE_JOBS,
    "ERASE_BODIES": remembering.ERASE_BODIES,
    "TAKE_BACK_JOB": sweeping.TAKE_BACK_JOB,
    "WALK": claiming.WALK,
    "CLAIM_DUE": claiming.CLAIM_DUE,
    "CLAIM_UNREACHED": claiming.CLAIM_UNREACHED,
    "NEXT_HERE": claiming.NEXT_HERE,
    "NOTIFY_URL": notify.NOTIFY_URL,
    "NOTIFY_ENDPOINTS": notify.NOTIFY_ENDPOINTS,
    "RELEASE_NEXT": order.RELEASE_NEXT,
    "REPORT": reporting.REPORT,
    "RELEASE": reporting.RELEASE,
    "RELEASE_UNCONFIRMED": reporting.RELEASE_UNCONFIRMED,
    "EXTEND": reporting.EXTEND,
    "FIND_LOST": recovering.FIND_LOST,
    "TAKE_BACK": recovering.TAKE_BACK,
    "FIND_OVERDUE": recovering.FIND_OVERDUE,
    "EXPIRE": recovering.EXPIRE,
    "PRUNE_DELIVERIES": recovering.PRUNE,
    "DELIVERIES_OF_JOB": deliveries.OF_JOB,
    "RESEND": resending.RESEND,
    "FIND_CALL": idempotency.FIND,
    "EXTEND_CALL": idempotency.EXTEND,
    "KEEP_RESPONSE": idempotency.KEEP,
    "FORGET_CALL": idempotency.FORGET,
    "PRUNE_REPLAYS": idempotency.PRUNE,
    "LAST_ANSWERED_AT": questions.LAST_ANSWERED_AT,
    "UNANSWERED_JOBS": awaiting.UNANSWERED_JOBS,
}
