"""What the predicates of partial indexes say (`schema/`). A statement is served by such an index only where it says the
same."""

# No index may also suit a query that has a narrower one: PostgreSQL's statistics are stale for queues, and it may pick
# the wider. So the predicate of open jobs names no states, and the head of a conversation queue is found by its
# conversation.
OPEN = "finished_at IS NULL"
JOB_HEAD_STATES = ("scheduled", "queued", "running", "awaiting", "quarantined")
# A job that has lost two leases runs only while no other such job does; a third loss fails it.
ON_PROBATION = "state IN ('queued', 'running') AND lease_losses >= 2"
OWED_STATES = ("pending", "sending")
# A request without a key that its client sends again by itself.
TRIED = "idempotency_key IS NULL AND request_hash IS NOT NULL"
ADDED = "job_id LIKE 'items_%'"
# What is sending is soon something else, and little; an endpoint's deliveries are shown by their job only.
LISTED = "endpoint_id IS NULL AND state <> 'sending'"
