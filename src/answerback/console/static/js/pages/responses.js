/** Stored responses, as OpenAI's API makes them: those that are answered in the background, and those that have ended. */

import { get } from "../api.js";
import { fill, h, refill, sync } from "../dom.js";
import { number } from "../format.js";
import { jobBadge, label } from "../parts/badge.js";
import { curl } from "../parts/samples.js";
import { commands } from "../parts/commands.js";
import { empty, head } from "../parts/notice.js";
import { ALL, ofTenant, tenantNames, tenantOrAll, whose } from "../parts/tenants.js";
import { id, inline } from "../parts/text.js";
import { changed, jobPath } from "../router.js";
import { time } from "../time.js";

export const title = "Responses";

const COLUMNS = ["State", "Response", "Model", "Tokens", "Asked"];
const SIZE = 50;

export async function page(view) {
  const tenant = tenantOrAll(view);
  const isAll = tenant === ALL;
  const place = h("div");
  const body = h("tbody");
  const heads = COLUMNS.map((name) => h("th", { scope: "col", class: name === "Tokens" ? "number" : "" }, name));
  const table = h(
    "div.scroll",
    {},
    h("table.cards", { "aria-label": "Responses" }, h("thead", {}, h("tr", {}, heads)), body),
  );
  const lead = "What OpenAI's SDKs asked for with responses.create, stored under its id.";
  const list = h("section.card", { "aria-label": "Responses" }, place);
  fill(view.root, head("Responses", lead, whose(view)), list);
  const before = view.query.get("before");
  let names = new Map();
  const draw = ({ items, next }) => {
    const own = view.session.tenant;
    sync(
      body,
      items.map((job) => ({ key: job.job_id, value: [job, names.size], make: () => row(job, own, names) })),
    );
    refill(place, items.length ? table : nothing(view.session, next), pager(view.query, next));
  };
  let page;
  const read = async () => {
    page = await get("/v1/jobs", { kind: "response", limit: SIZE, before, tenant }, view.signal);
    draw(page);
  };
  await read();
  if (!before) view.live(read);
  if (isAll) view.again(async () => ((names = await tenantNames(view)), draw(page)));
}

/** A response is shown to its own tenant only; another's is shown as the job that it is. */
function row(job, own, names) {
  const isOwn = (job.tenant_id ?? own) === own;
  const href = isOwn ? `/console/responses/${job.response_id}` : jobPath(job.job_id, job.tenant_id);
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
    h(
      "td.nowrap",
      {},
      h("span.row", {}, id(job.response_id), job.background ? label("background") : null),
      ofTenant(names, job.tenant_id, own),
    ),
    h("td", {}, job.model ? inline(job.model) : h("span.none.muted", {}, "–")),
    h("td.number", { "data-name": "Tokens" }, total ? number(total) : h("span.none.muted", {}, "–")),
    h("td.when.nowrap.muted", {}, time(job.created_at)),
  );
}

/** Among very many jobs of all tenants some pages have none: `next` is where to look on. */
function nothing(session, next) {
  if (next) return empty("No response among the newest jobs", "Older ones may have some.");
  const body = { input: "Write a haiku about a queue.", background: true };
  const { element } = commands(session, (key) => ({ curl: curl("/v1/responses", body, key) }));
  return empty("No responses yet", "Ask for one with OpenAI's SDK, or with this command:", h("div.sample", {}, element));
}

function pager(query, next) {
  const newest = query.get("before")
    ? h("a.button.tight", { href: changed(query, { before: "" }) }, "Newest responses")
    : h("span");
  const older = next ? h("a.button.tight", { href: changed(query, { before: next }) }, "Older responses") : null;
  return older || query.get("before") ? h("nav.pager", { "aria-label": "Pages of responses" }, newest, older) : null;
}
