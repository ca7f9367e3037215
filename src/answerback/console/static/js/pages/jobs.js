/** The jobs, newest first: filters stand in the address, the first page is live. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { counted } from "../format.js";
import { DELIVERY_STATES, JOB_STATES } from "../parts/badge.js";
import { field, input, select } from "../parts/fields.js";
import { jobsTable } from "../parts/jobs_table.js";
import { empty, head } from "../parts/notice.js";
import { ALL, tenantChoice, tenantNames } from "../parts/tenants.js";
import { changed, go } from "../router.js";

export const title = "Jobs";

const FILTERS = ["status", "delivery", "kind", "model", "session_id", "error", "since", "key", "tenant"];
const KINDS = ["message", "response", "review"];
const AGES = [
  ["", "Any time"],
  ["1", "Last hour"],
  ["24", "Last 24 hours"],
  ["168", "Last 7 days"],
];
const SIZE = 50;
/** How many pages that are empty are read on from by themselves. */
const MOST_READ = 10;
const REREAD_MS = 15_000;
const ANNOUNCE_MS = 10_000;

export async function page(view) {
  const names = await tenantNames(view);
  const all = tenantOf(view, names) === ALL;
  const place = {
    table: jobsTable("Jobs", { own: view.session.tenant, tenants: all ? names : undefined }),
    list: h("div"),
    pager: h("div"),
    news: h("p.unseen", { role: "status" }),
  };
  const lead = "Each message, review or response that was accepted, and what became of it.";
  fill(
    view.root,
    head("Jobs", lead),
    h(
      "div.stack",
      {},
      filters(view, names),
      h("section.card", { "aria-label": "Jobs" }, place.list, place.pager),
      place.news,
    ),
  );
  let page;
  const show = (next) => draw(view, place, (page = next));
  const read = async () => show(await found(asked(view, names), view.signal));
  await read();
  if (!view.query.get("before")) live(view, read, (newest) => show(joined(newest, page)));
}

/** Without filters the feed says what changed; with some, or where it says nothing of older jobs, the list is read again. */
function live(view, read, join) {
  const filtered = FILTERS.some((name) => view.query.get(name));
  let stale = false;
  const changed = ({ detail: { items } }) => {
    stale = true;
    if (!filtered) join(items);
  };
  view.feed.addEventListener("jobs", changed, { signal: view.signal });
  view.every(REREAD_MS, async () => {
    if (!stale) return;
    stale = false;
    await read();
  });
}

/** A page that begins with these jobs, the newest; none is left out between those and the ones before. */
function joined(newest, { items, next }) {
  const known = new Set(newest.map((job) => job.job_id));
  const meets = items.some((job) => known.has(job.job_id)) || !items.length;
  const older = meets ? items.filter((job) => !known.has(job.job_id)) : [];
  const all = [...newest, ...older].slice(0, SIZE);
  const isCut = !meets || newest.length + older.length > SIZE;
  return { items: all, next: isCut ? all.at(-1).job_id : next };
}

/** The first page that has jobs: where many are passed over, pages are short or empty and others follow. */
async function found(query, signal) {
  let page = await get("/v1/jobs", query, signal);
  for (let more = MOST_READ; more && page.next && !page.items.length; more -= 1) {
    page = await get("/v1/jobs", { ...query, before: page.next }, signal);
  }
  return page;
}

/** Without a choice an operator sees all tenants, where there are several. */
const tenantOf = ({ query }, names) => query.get("tenant") ?? (names.size > 1 ? ALL : null);

function asked(view, names) {
  const { query } = view;
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  const hours = Number(wanted.since);
  const since = hours ? new Date(Date.now() - hours * 3_600_000).toISOString() : null;
  return { ...wanted, tenant: tenantOf(view, names), since, before: query.get("before"), limit: SIZE };
}

function draw(view, place, { items, next }) {
  const news = place.table.draw(items);
  if (news.length) announce(place, news.length);
  // A table that stays where it is keeps the focus within.
  if (!items.length) fill(place.list, nothing(view.query, next));
  else if (!place.table.element.isConnected) fill(place.list, place.table.element);
  fill(place.pager, pager(view.query, next));
}

/** A screen reader hears of new jobs now and then. */
function announce(place, n) {
  const now = Date.now();
  if (now - (place.announced ?? 0) < ANNOUNCE_MS) return;
  place.announced = now;
  fill(place.news, counted(n, "new job"));
}

function nothing(query, next) {
  if (next) return empty("None of the newer jobs matches", "Older ones may: go on below.");
  if (FILTERS.some((name) => query.get(name)) || query.get("before")) {
    return empty(
      "No job matches",
      "Loosen a filter, or take all of them away.",
      h("a.button", { href: "/console/jobs" }, "Show all jobs"),
    );
  }
  return empty(
    "No jobs yet",
    "Each message that the service accepts appears here.",
    h("a.button.primary", { href: "/console/playground?by=webhook" }, "Send a test message"),
  );
}

function pager(query, next) {
  const newest = query.get("before")
    ? h("a.button.tight", { href: changed(query, { before: "" }) }, "Newest jobs")
    : h("span");
  const older = next ? h("a.button.tight", { href: changed(query, { before: next }) }, "Older jobs") : null;
  return older || query.get("before") ? h("nav.pager", { "aria-label": "Pages of jobs" }, newest, older) : null;
}

function filters(view, names) {
  const { query } = view;
  const set = (event) => go(changed(query, { [event.target.name]: event.target.value.trim(), before: "" }));
  const choice = (name, values, all) => select([["", all], ...values], query.get(name) ?? "", { name, onchange: set });
  const text = (name, placeholder) =>
    input({ type: "search", name, placeholder, value: query.get(name) ?? "", onchange: set });
  const more = ["kind", "model", "since", "key"].some((name) => query.get(name));
  const rest = [
    field("Kind", choice("kind", KINDS, "Any kind")),
    field("Model", text("model", "Any model")),
    field("Accepted", select(AGES, query.get("since") ?? "", { name: "since", onchange: set })),
  ];
  rest.push(field("Key", text("key", "Its id: key_…")));
  const first = [
    names.size > 1 ? field("Tenant", tenantChoice(names, tenantOf(view, names), { all: true, onchange: set })) : null,
    field("State", choice("status", JOB_STATES, "Any state")),
    field("Callback", choice("delivery", DELIVERY_STATES, "Any state")),
    field("Conversation", text("session_id", "session_id or callback URL")),
    field("Error", text("error", "Code or words")),
  ];
  const clear = FILTERS.some((name) => query.get(name))
    ? h("a.button.plain.tight", { href: "/console/jobs" }, "Clear filters")
    : null;
  const details = h("details", { open: more }, h("summary.small", {}, "More filters"), h("div.filters", {}, rest));
  return h(
    "search",
    { "aria-label": "Filters" },
    h("div.filters", {}, first),
    h("div.filter-foot", {}, details, clear),
  );
}
