/** Jobs as rows. */

import { h, sync } from "../dom.js";
import { span, time } from "../time.js";
import { deliveryBadge, jobBadge } from "./badge.js";
import { id, inline } from "./text.js";

const COLUMNS = ["State", "Job", "Conversation or model", "Callback", "Took", "Accepted"];

/** A table of jobs. `draw` shows these in the place of those before, and returns the ids that are new. */
export function jobsTable(name) {
  const body = h("tbody");
  const heads = COLUMNS.map((column) => h("th", { scope: "col", class: column === "Took" ? "number" : "" }, column));
  const table = h("table.cards", { "aria-label": name }, h("thead", {}, h("tr", {}, heads)), body);
  let drawn = false;

  function draw(jobs) {
    const added = sync(body, jobs.map((job) => ({ key: job.job_id, value: job, make: () => row(job) })));
    if (drawn) for (const key of added) body.querySelector(`[data-key="${key}"]`).classList.add("fresh");
    const news = drawn ? added : [];
    drawn = true;
    return news;
  }
  return { element: h("div.scroll", {}, table), draw };
}

function row(job) {
  return h(
    "tr.link",
    {},
    h("td", {}, h("a.whole", { href: `/console/jobs/${job.job_id}`, "aria-label": `${job.status} job ${job.job_id}` }, jobBadge(job.status))),
    h("td.nowrap", {}, h("span.row", {}, h("span", {}, job.kind), id(job.job_id))),
    h("td.wide", {}, about(job)),
    h("td", {}, delivery(job.delivery)),
    h("td.number.nowrap", {}, took(job)),
    h("td.when.nowrap.muted", {}, time(job.created_at)),
  );
}

function about(job) {
  const named = job.session_id ?? job.submission_id ?? null;
  const first = named ? h("div.cut", {}, inline(named)) : h("div.cut.muted", {}, inline(job.model ?? ""));
  return job.error ? [first, h("div.cut.small.problem", {}, inline(`${job.error.code}: ${job.error.message}`))] : first;
}

function delivery(one) {
  if (!one) return h("span.none.muted", {}, "–");
  const due = one.next_attempt_at ? h("span.muted.small", {}, time(one.next_attempt_at, "left")) : null;
  return h("span.row", {}, deliveryBadge(one.status), due);
}

function took(job) {
  if (!job.completed_at) return h("span.none.muted", {}, "–");
  return span((new Date(job.completed_at) - new Date(job.created_at)) / 1000);
}
