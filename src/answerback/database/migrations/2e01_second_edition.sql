-- The second edition's tables. A line that ends in `-- sqlite` or `-- postgresql` is for that database only.
--
-- Times are epoch milliseconds: of the scheduling clock where they decide when something happens (`run_at`,
-- `deadline_at`, `lease_expires_at`, `rank`, `first_loss_at`, `erase_at`, `unreached_at`,
-- `idempotency_records.updated_at`, `signing_secrets.expires_at`), else of the wall clock.
--
-- Order is held by the database itself: `jobs_head` lets only one job of a conversation be scheduled, queued, running,
-- awaiting or quarantined, and `deliveries_order` only one of its deliveries to one destination be pending or sending;
-- the others are held. `jobs_on_probation` lets one job that has lost two leases be queued or running at a time.
--
-- On PostgreSQL an index whose predicate says that a column is not null, of one that never is, serves no query that
-- does not compare the column: by statistics that are stale for queues it would choose it for others, too.
--
-- There are no foreign keys: PostgreSQL would read and lock the owner's row for each row inserted, which its transaction
-- has locked already, and read all jobs where a conversation goes.

-- `weight` is the tenant's share of what is short, beside other tenants; without a row it is 1.
CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    weight INTEGER NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;                                                                            -- sqlite
);                                                                                          -- postgresql

-- The tenant of a key may be `default`, which may have no row of its own. `last_used_at` is written at most once
-- a minute.
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE,
    operator INTEGER NOT NULL,
    rate_limit TEXT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);

-- `owner` is a tenant's id or an endpoint's; `expires_at` is null for the owner's current secret.
CREATE TABLE signing_secrets (
    id INTEGER PRIMARY KEY,                                                                 -- sqlite
    id BIGSERIAL PRIMARY KEY,                                                               -- postgresql
    owner TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX signing_secrets_owner ON signing_secrets (owner);

-- The scheduling clock (`sqlite/clock.py`, `postgres/clock.py`). On PostgreSQL it has one row, `server`.
CREATE TABLE clock (
    boot_id TEXT NOT NULL PRIMARY KEY,
    offset_ms BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE service_secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;                                                                            -- sqlite
);                                                                                          -- postgresql

-- `metadata` is null for sessions of the relay; for conversations of `/v1/conversations` it is a JSON object, or
-- empty once they are deleted. Items of the latter stay as long as the conversation, others as long as their
-- job.
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,                                                                 -- sqlite
    id BIGSERIAL PRIMARY KEY,                                                               -- postgresql
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    last_position BIGINT NOT NULL,
    pending INTEGER NOT NULL,
    erased_through BIGINT NOT NULL,
    window_from BIGINT NOT NULL,
    metadata TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX conversations_key ON conversations (tenant_id, key);
CREATE INDEX conversations_idle ON conversations (updated_at);
CREATE INDEX conversations_recent ON conversations (tenant_id, updated_at, id)
    WHERE metadata IS NULL;                                                                 -- sqlite
    WHERE metadata IS NULL AND updated_at IS NOT NULL;                                      -- postgresql

-- What conversations remember. `items` is what the job at this position added: a JSON array of OpenAI's items.
-- What clients add by themselves has a position of its own, and in place of a job's id one that begins with
-- `items_`.
CREATE TABLE conversation_items (
    conversation_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    job_id TEXT NOT NULL,
    items TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, position)
) WITHOUT ROWID;                                                                            -- sqlite
);                                                                                          -- postgresql
CREATE INDEX conversation_items_added ON conversation_items (job_id) WHERE job_id LIKE 'items_%';

-- `attempt` counts those that the retry schedule counts, the current one included: what is given back, snoozed
-- or lost does not count. `attempts` is the record of those that ended, with a gap between the first and the
-- last of very many; `attempts_made` is how many ended, counted or not. `key_id` is the key that its request
-- carried. `erase_at` is when the row is to lose what it holds, null where it keeps that.
--
-- `rank` is the place in the queue: a claim takes queued jobs in its order. It is the time at which the job
-- could first be claimed or, after a retry was scheduled, when that was due; one that is given back or lost
-- keeps it.
--
-- `lease_losses` counts leases lost in the window that begins at `first_loss_at`, null before the first loss.
CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    rank BIGINT NOT NULL,
    state TEXT NOT NULL,
    run_at BIGINT NOT NULL,
    deadline_at BIGINT NOT NULL,
    conversation_id BIGINT,
    position BIGINT,
    idempotency_key TEXT,
    request_hash TEXT,
    retry_of TEXT,
    key_id TEXT,
    callback_url TEXT,
    args TEXT NOT NULL,
    result TEXT,
    error TEXT,
    attempts TEXT NOT NULL,                                                                 -- sqlite
    attempts JSONB NOT NULL,                                                                -- postgresql
    attempts_made INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    lease_epoch BIGINT NOT NULL,
    lease_owner TEXT,
    lease_expires_at BIGINT,
    lease_losses INTEGER NOT NULL,
    first_loss_at BIGINT,
    created_at BIGINT NOT NULL,
    claimed_at BIGINT,
    finished_at BIGINT,
    traceparent TEXT,
    erase_at BIGINT
);
CREATE INDEX jobs_ready ON jobs (queue, rank)
    WHERE state = 'queued';                                                                 -- sqlite
    WHERE state = 'queued' AND rank IS NOT NULL;                                            -- postgresql
CREATE INDEX jobs_ready_of_tenant ON jobs (queue, tenant_id, rank)
    WHERE state = 'queued';                                                                 -- sqlite
    WHERE state = 'queued' AND tenant_id IS NOT NULL;                                       -- postgresql
CREATE INDEX jobs_running ON jobs (queue, rank) WHERE state = 'running';
CREATE INDEX jobs_scheduled ON jobs (queue, run_at)
    WHERE state = 'scheduled';                                                              -- sqlite
    WHERE state = 'scheduled' AND run_at IS NOT NULL;                                       -- postgresql
CREATE INDEX jobs_scheduled_of_tenant ON jobs (queue, tenant_id, run_at)
    WHERE state = 'scheduled';                                                              -- sqlite
    WHERE state = 'scheduled' AND tenant_id IS NOT NULL;                                    -- postgresql
CREATE INDEX jobs_quarantined ON jobs (tenant_id, run_at) WHERE state = 'quarantined';
CREATE UNIQUE INDEX jobs_on_probation ON jobs (lease_losses)
    WHERE state IN ('queued', 'running') AND lease_losses >= 2;
CREATE INDEX jobs_leased ON jobs (lease_expires_at)
    WHERE state = 'running';                                                                -- sqlite
    WHERE state = 'running' AND lease_expires_at IS NOT NULL;                               -- postgresql
CREATE INDEX jobs_awaiting ON jobs (run_at) WHERE state = 'awaiting';
CREATE INDEX jobs_deadline ON jobs (deadline_at, tenant_id) WHERE finished_at IS NULL;
CREATE UNIQUE INDEX jobs_head ON jobs (conversation_id)
    WHERE conversation_id IS NOT NULL AND (
        state = 'scheduled' OR state = 'queued' OR state = 'running' OR state = 'awaiting' OR state = 'quarantined'
    );
CREATE INDEX jobs_held ON jobs (conversation_id, position) WHERE state = 'held';
CREATE UNIQUE INDEX jobs_idempotency ON jobs (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- Requests without a key, which clients send again by themselves.
CREATE INDEX jobs_tried ON jobs (tenant_id, finished_at, request_hash, id)
    WHERE idempotency_key IS NULL AND request_hash IS NOT NULL;
CREATE UNIQUE INDEX jobs_retry ON jobs (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX jobs_listed ON jobs (tenant_id, kind, state, id);                              -- sqlite
CREATE INDEX jobs_listed ON jobs (tenant_id, kind, state, id)                               -- postgresql
    WHERE kind IS NOT NULL;                                                                 -- postgresql
CREATE INDEX jobs_conversation ON jobs (conversation_id, kind, state, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_held_listed ON jobs (conversation_id, kind, id)
    WHERE state = 'held';                                                                   -- sqlite
    WHERE state = 'held' AND kind IS NOT NULL;                                              -- postgresql
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_transient ON jobs (erase_at) WHERE erase_at IS NOT NULL;

-- What jobs emit while they run. A row holds events that were stored together; `seq` is the number of the last
-- one.
CREATE TABLE job_events (
    job_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    data BLOB NOT NULL,                                                                     -- sqlite
    data BYTEA NOT NULL,                                                                    -- postgresql
    PRIMARY KEY (job_id, seq)
);

CREATE TABLE questions (
    id INTEGER PRIMARY KEY,                                                                 -- sqlite
    id BIGSERIAL PRIMARY KEY,                                                               -- postgresql
    tenant_id TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX questions_tenant ON questions (tenant_id, id);
CREATE INDEX questions_age ON questions (created_at);

-- `destination` is the endpoint's id, or a hash of the request's callback URL. `unreached_at` is when the last
-- attempt began, if it got no response.
CREATE TABLE deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    job_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    endpoint_id TEXT,
    destination TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    conversation_id BIGINT,
    position BIGINT,
    url TEXT NOT NULL,
    origin TEXT NOT NULL,
    state TEXT NOT NULL,
    run_at BIGINT NOT NULL,
    unreached_at BIGINT,
    attempt INTEGER NOT NULL,
    attempts TEXT NOT NULL,                                                                 -- sqlite
    attempts JSONB NOT NULL,                                                                -- postgresql
    attempts_made INTEGER NOT NULL,
    lease_epoch BIGINT NOT NULL,
    lease_owner TEXT,
    lease_expires_at BIGINT,
    deadline_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    claimed_at BIGINT,
    delivered_at BIGINT,
    traceparent TEXT,
    body BLOB NOT NULL                                                                      -- sqlite
    body BYTEA NOT NULL                                                                     -- postgresql
);
CREATE UNIQUE INDEX deliveries_event ON deliveries (job_id, event_type, destination);
CREATE UNIQUE INDEX deliveries_order ON deliveries (conversation_id, destination)
    WHERE conversation_id IS NOT NULL AND (state = 'pending' OR state = 'sending');
CREATE INDEX deliveries_held ON deliveries (conversation_id, destination, position)
    WHERE state = 'held';                                                                   -- sqlite
    WHERE state = 'held' AND conversation_id IS NOT NULL;                                   -- postgresql
CREATE INDEX deliveries_ready ON deliveries (tenant_id, origin, run_at) WHERE state = 'pending';
CREATE INDEX deliveries_unreached ON deliveries (tenant_id, origin, created_at)
    WHERE state = 'pending' AND unreached_at IS NOT NULL;
CREATE INDEX deliveries_deadline ON deliveries (deadline_at)
    WHERE state = 'pending';                                                                -- sqlite
    WHERE state = 'pending' AND deadline_at IS NOT NULL;                                    -- postgresql
CREATE INDEX deliveries_dead ON deliveries (tenant_id, id)
    WHERE state = 'dead';                                                                   -- sqlite
    WHERE state = 'dead' AND id IS NOT NULL;                                                -- postgresql
CREATE INDEX deliveries_of_endpoints ON deliveries (tenant_id, id)
    WHERE endpoint_id IS NOT NULL;                                                          -- sqlite
    WHERE endpoint_id IS NOT NULL AND id IS NOT NULL;                                       -- postgresql
CREATE INDEX deliveries_leased ON deliveries (lease_expires_at) WHERE state = 'sending';
CREATE INDEX deliveries_listed ON deliveries (tenant_id, state, job_id, endpoint_id)
    WHERE endpoint_id IS NULL AND state <> 'sending';                                       -- sqlite
    WHERE endpoint_id IS NULL AND state <> 'sending' AND job_id IS NOT NULL;                -- postgresql

CREATE TABLE webhook_endpoints (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    origin TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_tenant ON webhook_endpoints (tenant_id, id);

CREATE TABLE webhook_subscriptions (
    tenant_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, event_type, endpoint_id)
) WITHOUT ROWID;                                                                            -- sqlite
);                                                                                          -- postgresql
CREATE INDEX webhook_subscriptions_endpoint ON webhook_subscriptions (endpoint_id);

-- How many jobs ended in a minute (minutes since the epoch), by tenant and outcome (`completed` or an error
-- code), and what their answers cost; `calls` of them were calls whose clients waited, and are no rows of
-- `jobs`. Rows without a tenant are of all tenants together. Statistics: a kill loses seconds of them.
CREATE TABLE activity (
    tenant_id TEXT NOT NULL,
    minute BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    jobs BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, minute, outcome)
) WITHOUT ROWID;                                                                            -- sqlite
);                                                                                          -- postgresql
CREATE INDEX activity_age ON activity (minute);

-- What each process has seen of the providers, as JSON, for all others to show.
CREATE TABLE provider_reports (
    process_id TEXT NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL,
    report TEXT NOT NULL
) WITHOUT ROWID;                                                                            -- sqlite
);                                                                                          -- postgresql
CREATE INDEX provider_reports_age ON provider_reports (seen_at);

-- Callbacks that tenants sent to the service itself, to look at. `body` is the beginning of one that had `size`
-- bytes; `signature` is the verdict on it; `job_id` is what it says.
CREATE TABLE inbox (
    id TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,                                                                     -- sqlite
    body BYTEA NOT NULL,                                                                    -- postgresql
    size INTEGER NOT NULL,
    signature TEXT NOT NULL,
    job_id TEXT
);
CREATE INDEX inbox_tenant ON inbox (tenant_id, id);
CREATE INDEX inbox_age ON inbox (received_at);

-- Requests with an Idempotency-Key. `lease_expires_at` is null once a request was answered; then `status`,
-- `headers` and `body` are the stored response, null where it was too large to store. SQLite keeps rows by `id`, not by
-- their key: a body may take megabytes.
CREATE TABLE idempotency_records (
    id INTEGER PRIMARY KEY,                                                                 -- sqlite
    id BIGSERIAL PRIMARY KEY,                                                               -- postgresql
    tenant_id TEXT NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    token TEXT NOT NULL,
    lease_expires_at BIGINT,
    status INTEGER,
    headers TEXT,
    body BLOB,                                                                              -- sqlite
    body BYTEA,                                                                             -- postgresql
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX idempotency_records_key ON idempotency_records (tenant_id, route, key);
CREATE INDEX idempotency_records_age ON idempotency_records (updated_at);
