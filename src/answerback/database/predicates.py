"""The predicates of partial indexes, as `migrations/` defines these: such an index serves a statement that says the
same."""

# No index may also suit a query that has a narrower one: PostgreSQL's statistics are stale for queues, and it may pick
# the wider. So the predicate of open jobs names no states, and the head of a conversation queue is found by its
# conversation.
OPEN = "finished_at IS NULL"
JOB_HEAD_STATES = ("scheduled", "queued", "running", "awaiting", "quarantined")
# A job that has lost two leases runs only while no other such job does; a third loss fails it.
ON_PROBATION = "state IN ('queued', 'running') AND lease_losses >= 2"
OWED_STATES = ("pending", "sending")
ADDED = "job_id LIKE 'items_%'"
# What is sending is soon something else, and little; an endpoint's deliveries are shown by their job only.
LISTED = "endpoint_id IS NULL AND state <> 'sending'"
