/** Jobs as rows. */

import { h, sync } from "../dom.js";
import { jobPath } from "../router.js";
import { span, time } from "../time.js";
import { deliveryBadge, jobBadge, meaningOf } from "./badge.js";
import { id, inline } from "./text.js";

const COLUMNS = ["State", "Job", "Conversation or model", "Callback", "Took", "Accepted"];
const COMPACT = ["State", "Conversation or model", "Callback", "Accepted"];

/**
 * A table of jobs, `compact` beside others. `draw` shows these in the place of those before, and returns the new
 * ids; none where `isOther` jobs are asked for than before. `own` is the reader's tenant; where `tenants` are several,
 * each job says whose it is.
 */
export function jobsTable(name, { compact = false, own = null, tenants = new Map() } = {}) {
  const columns = compact
    ? COMPACT
    : tenants.size > 1
      ? [...COLUMNS.slice(0, 2), "Tenant", ...COLUMNS.slice(2)]
      : COLUMNS;
  const body = h("tbody");
  const heads = columns.map((column) => h("th", { scope: "col", class: column === "Took" ? "number" : "" }, column));
  const table = h("table.cards", { "aria-label": name }, h("thead", {}, h("tr", {}, heads)), body);
  let drawn = false;

  function draw(jobs, isOther = false) {
    drawn &&= !isOther;
    const added = sync(
      body,
      jobs.map((job) => ({ key: job.job_id, value: job, make: () => row(job, columns, { own, tenants, compact }) })),
    );
    if (drawn) for (const key of added) body.querySelector(`[data-key="${key}"]`).classList.add("fresh");
    const news = drawn ? added : [];
    drawn = true;
    return news;
  }
  return { element: h("div.scroll", {}, table), draw };
}

const CELLS = {
  State: (job, { own }) =>
    h(
      "td",
      {},
      h(
        "a.whole",
        {
          href: jobPath(job.job_id, job.tenant_id === own ? null : job.tenant_id),
          "aria-label": `${job.status} job ${job.job_id}`,
          "aria-description": meaningOf(job.status),
        },
        jobBadge(job.status),
      ),
    ),
  Job: (job) => h("td.nowrap", {}, h("span.row", {}, h("span", {}, job.kind), id(job.job_id))),
  Tenant: (job, { tenants }) =>
    h("td", { "data-name": "Tenant" }, h("div.cut", {}, inline(tenants.get(job.tenant_id) ?? job.tenant_id))),
  "Conversation or model": (job, seen) => h("td.wide", {}, about(job, seen)),
  Callback: (job) => h("td.nowrap", {}, delivery(job.delivery)),
  Took: (job) => h("td.number.nowrap", { "data-name": "Took" }, took(job)),
  Accepted: (job) => h("td.when.nowrap.muted", {}, time(job.created_at)),
};

const row = (job, columns, seen) =>
  h(
    "tr.link",
    {},
    columns.map((column) => CELLS[column](job, seen)),
  );

/** In a compact list nothing else says which kind of job it is. */
function about(job, { compact }) {
  const named = job.session_id ?? job.submission_id ?? null;
  // While it runs again, what failed before is over.
  const error = job.status === "running" ? null : job.error;
  if (!named && !job.model && !error) return compact ? h("span.muted", {}, job.kind) : h("span.none.muted", {}, "–");
  const first = named ? h("div.cut", {}, inline(named)) : job.model ? h("div.cut.muted", {}, inline(job.model)) : null;
  if (!error) return first;
  const why = `${error.code}: ${error.message}`;
  return [first, h("bdi.two.small.problem", { dir: "auto", title: why }, why)];
}

function delivery(one) {
  if (!one) return h("span.none.muted", {}, "–");
  const due = one.next_attempt_at ? h("span.muted.small", {}, time(one.next_attempt_at, "next")) : null;
  return h("span.row.nowrap", {}, deliveryBadge(one.status), due);
}

function took(job) {
  if (!job.completed_at) return h("span.none.muted", {}, "–");
  return span((new Date(job.completed_at) - new Date(job.created_at)) / 1000);
}
