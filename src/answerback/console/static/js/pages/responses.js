/** Stored responses, as OpenAI's API makes them: those that are answered in the background, and those that have ended. */

import { get } from "../api.js";
import { fill, h, refill, sync } from "../dom.js";
import { number } from "../format.js";
import { jobBadge, label } from "../parts/badge.js";
import { curl } from "../parts/samples.js";
import { code } from "../parts/code.js";
import { empty, head } from "../parts/notice.js";
import { whose } from "../parts/tenants.js";
import { id, inline } from "../parts/text.js";
import { changed, jobPath } from "../router.js";
import { time } from "../time.js";

export const title = "Responses";

const COLUMNS = ["State", "Response", "Model", "Tokens", "Asked"];
const SIZE = 50;
const REREAD_MS = 5000;

export async function page(view) {
  const tenant = view.tenant;
  const place = h("div");
  const body = h("tbody");
  const heads = COLUMNS.map((name) => h("th", { scope: "col", class: name === "Tokens" ? "number" : "" }, name));
  const table = h(
    "div.scroll",
    {},
    h("table.cards", { "aria-label": "Responses" }, h("thead", {}, h("tr", {}, heads)), body),
  );
  const lead = "What OpenAI's SDKs asked for with responses.create, stored under its id.";
  fill(view.root, head("Responses", lead, whose(view)), h("section.card", { "aria-label": "Responses" }, place));
  const before = view.query.get("before");
  const read = async () => {
    const { items, next } = await get("/v1/jobs", { kind: "response", limit: SIZE, before, tenant }, view.signal);
    sync(
      body,
      items.map((job) => ({ key: job.job_id, value: job, make: () => row(job, tenant) })),
    );
    refill(place, items.length ? [table, pager(view.query, next)] : nothing(view.session));
  };
  await read();
  if (!before) view.every(REREAD_MS, read);
}

/** A response is shown to its own tenant only; another's is shown as the job that it is. */
function row(job, tenant) {
  const href = tenant ? jobPath(job.job_id, tenant) : `/console/responses/${job.response_id}`;
  const total = job.usage?.total_tokens;
  return h(
    "tr.link",
    {},
    h(
      "td",
      {},
      h(
        "a.whole",
        { href, "aria-label": `Response ${job.response_id}` },
        jobBadge(job.status),
      ),
    ),
    h("td.nowrap", {}, h("span.row", {}, id(job.response_id), job.background ? label("background") : null)),
    h("td", {}, job.model ? inline(job.model) : h("span.none.muted", {}, "–")),
    h("td.number", { "data-name": "Tokens" }, total ? number(total) : h("span.none.muted", {}, "–")),
    h("td.when.nowrap.muted", {}, time(job.created_at)),
  );
}

function nothing(session) {
  const body = { input: "Write a haiku about a queue.", background: true };
  const command = h(
    "div.sample",
    {},
    code({ curl: curl("/v1/responses", body, session.copiedKey) }, session.copiedKey),
  );
  return empty("No responses yet", "Ask for one with OpenAI's SDK, or with this command:", command);
}

function pager(query, next) {
  const newest = query.get("before")
    ? h("a.button.tight", { href: changed(query, { before: "" }) }, "Newest responses")
    : h("span");
  const older = next ? h("a.button.tight", { href: changed(query, { before: next }) }, "Older responses") : null;
  return older || query.get("before") ? h("nav.pager", { "aria-label": "Pages of responses" }, newest, older) : null;
}
