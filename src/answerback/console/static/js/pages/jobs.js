/** The jobs, newest first: filters stand in the address, the first page is live. */

import { get } from "../api.js";
import { serviceNow } from "../clock.js";
import { fill, h, refill } from "../dom.js";
import { counted, sentence } from "../format.js";
import { DELIVERY_STATES, JOB_STATES } from "../parts/badge.js";
import { field, input, select } from "../parts/fields.js";
import { jobsTable } from "../parts/jobs_table.js";
import { empty, head } from "../parts/notice.js";
import { ALL, tenantChoice, tenantNames } from "../parts/tenants.js";
import { changed, go } from "../router.js";
import { exact, time } from "../time.js";

export const title = "Jobs";

const FIELDS = ["status", "delivery", "kind", "model", "session_id", "error", "since", "until", "key"];
const FILTERS = [...FIELDS, "tenant"];
const KINDS = ["message", "response", "review"].map((each) => [each, sentence(each)]);
const AGES = [
  ["", "Any time"],
  ["1", "Last hour"],
  ["24", "Last 24 hours"],
  ["168", "Last 7 days"],
];
const SIZE = 50;
/** Where many jobs are passed over, pages are short: so many more are read, until there are a few jobs. */
const MOST_READ = 10;
const FEW = 10;
/** For how long a list that took several requests is not read again, for each of them. */
const APART_MS = 15_000;
const ANNOUNCE_MS = 10_000;
/** How long a reader who types is waited for. */
const TYPED_MS = 350;

export async function page(view) {
  const top = head("Jobs", "Each message, review or response that was accepted, and what became of it.");
  fill(view.root, top);
  const place = {
    names: new Map(),
    table: jobsTable("Jobs", { own: view.session.tenant }),
    list: h("div"),
    pager: h("div"),
    tenant: h("div", { hidden: true }),
    news: h("p.unseen", { role: "status" }),
    clear: h("a.button.plain.tight", {}, "Clear filters"),
  };
  const first = await found(asked(view), view.signal);
  let page;
  let asking = 0;
  const show = (next, isOther = false) => draw(view, place, (page = next), isOther);
  /** `isOther`: other jobs are asked for than before. */
  const read = async (isOther = false) => {
    const mine = ++asking;
    const { page: next, requests } = await found(asked(view), view.signal);
    if (mine === asking) show(next, isOther);
    return requests > 1 ? requests * APART_MS : 0;
  };
  const list = h("section.card", { "aria-label": "Jobs" }, place.list, place.pager);
  fill(view.root, top, h("div.stack", {}, filters(view, place, read), list, place.news));
  show(first.page);
  const isOld = () => view.query.get("before");
  // Without filters the feed brings the newest jobs, unless there are others in between.
  const join = ({ detail: { items } }) => {
    const next = isFiltered(view) || isOld() ? null : joined(items, page);
    if (next) show(next);
  };
  view.feed.addEventListener("jobs", join, { signal: view.signal });
  // A page of older jobs stays as it is.
  view.live(() => (isOld() ? null : read()));
  view.again(async () => {
    name(view, place, await tenantNames(view));
    show(page);
  });
}

/** The names of tenants may take longer than the jobs: then the jobs are drawn without, and once more with them. */
function name(view, place, names) {
  place.names = names;
  if (names.size < 2 && !(view.session.operator && view.tenant !== null)) return;
  const move = ({ target }) => go(changed(view.query, { tenant: target.value, before: "" }));
  const chosen = tenantOf(view);
  place.tenant.hidden = false;
  fill(place.tenant, field("Tenant", tenantChoice(names, chosen, move)));
  if (chosen === ALL) place.table = jobsTable("Jobs", { own: view.session.tenant, tenants: names });
}

const isFiltered = ({ query }) => FILTERS.some((name) => query.get(name));
const hasFields = (query) => FIELDS.some((name) => query.get(name));

/** The newest jobs without filters, of the same tenant if it is one. */
function cleared(query, names) {
  const tenant = query.get("tenant");
  const gone = tenant && tenant !== ALL && names.size && !names.has(tenant) ? ["tenant"] : [];
  return changed(query, Object.fromEntries([...FIELDS, "before", ...gone].map((name) => [name, ""])));
}

/** A page that begins with these jobs, the newest; null where others may be missing between those and the ones before. */
function joined(newest, { items, next }) {
  const known = new Set(newest.map((job) => job.job_id));
  if (items.length && !items.some((job) => known.has(job.job_id))) return null;
  const all = [...newest, ...items.filter((job) => !known.has(job.job_id))];
  return all.length > SIZE ? { items: all.slice(0, SIZE), next: all[SIZE - 1].job_id } : { items: all, next };
}

/** The first page, and what it was read with. */
async function found(query, signal) {
  let page = await get("/v1/jobs", query, signal);
  let requests = 1;
  while (requests <= MOST_READ && page.next && page.items.length < FEW) {
    const { items, next } = await get("/v1/jobs", { ...query, before: page.next }, signal);
    page = { items: [...page.items, ...items], next };
    requests += 1;
  }
  return { page, requests };
}

/** Without a choice an operator sees all tenants. */
function tenantOf({ session, query, tenant }) {
  return session.operator && !session.keyless ? (query.get("tenant") ?? ALL) : tenant;
}

function asked(view) {
  const { query } = view;
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]));
  const since = wanted.since && isAge(wanted.since) ? new Date(serviceNow() - wanted.since * 3_600_000).toISOString() : wanted.since;
  return { ...wanted, tenant: tenantOf(view), since, before: query.get("before"), limit: SIZE };
}

/** Whether it is a number of hours that the field offers; a link may have a time in RFC 3339 instead. */
const isAge = (since) => AGES.some(([hours]) => hours === since);

const moment = (at) => (Number.isNaN(Date.parse(at)) ? at : exact(at));

/** When the jobs were accepted: an age, or the times of a link. */
function accepted({ query }, set) {
  const [since, until] = [query.get("since") ?? "", query.get("until")];
  const ages = isAge(since) ? AGES : [...AGES, [since, `Since ${moment(since)}`]];
  const before = [["", "Any time"], [until, moment(until)]];
  return [
    field("Accepted", select(ages, since, { name: "since", onchange: set })),
    until ? field("Accepted before", select(before, until, { name: "until", onchange: set })) : null,
  ];
}

function draw(view, place, { items, next }, isOther) {
  const news = place.table.draw(items, isOther);
  if (isOther) fill(place.news, items.length ? counted(items.length, "job") : "No job matches");
  else if (news.length) announce(place, news.length, items.length);
  // A table that stays where it is keeps the focus within.
  if (!items.length) refill(place.list, nothing(view.query, place.names, next));
  else if (!place.table.element.isConnected) refill(place.list, place.table.element);
  refill(place.pager, pager(view.query, next));
  place.clear.hidden = !hasFields(view.query);
  place.clear.href = cleared(view.query, place.names);
}

/** A screen reader hears of new jobs now and then; where all of the page are new, there may be more. */
function announce(place, n, shown) {
  const now = Date.now();
  if (now - (place.announced ?? 0) < ANNOUNCE_MS) return;
  place.announced = now;
  fill(place.news, n < shown || n < SIZE ? counted(n, "new job") : `${n}+ new jobs`);
}

/** An id begins with when its job was accepted. */
const acceptedAt = (id) => parseInt(id.slice(4, 16), 16);

function nothing(query, names, next) {
  if (next) {
    const further = h("a.button.primary", { href: changed(query, { before: next }) }, "Look further back");
    return empty("No newer job matches", ["None that was accepted in the last ", time(acceptedAt(next), "for"), "."], further);
  }
  if (hasFields(query) || query.get("before")) {
    return empty(
      "No job matches",
      "Loosen a filter, or take all of them away.",
      h("a.button", { href: cleared(query, names) }, "Show all jobs"),
    );
  }
  const tenant = query.get("tenant");
  if (tenant && tenant !== ALL) {
    const all = h("a.button", { href: changed(query, { tenant: "" }) }, "Show all jobs");
    return empty("No jobs of this tenant", ["There is none of ", h("code", {}, tenant), "."], all);
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

/** Changes the address and reads the list anew; the fields stay as they are, with the focus. */
function setter(view, read) {
  let timer = null;
  const apply = ({ name, value: given }, state) => {
    clearTimeout(timer);
    // A session_id may begin with a space.
    const value = name === "session_id" && given.trim() ? given : given.trim();
    if (view.signal.aborted || value === (view.query.get(name) ?? "")) return;
    // What is typed on in one field is one step of the history.
    const isSame = state !== null && history.state?.typed === state.typed;
    const address = changed(view.query, { [name]: value, before: "" });
    history[isSame ? "replaceState" : "pushState"](state, "", address);
    view.query = new URLSearchParams(location.search);
    view.again(() => read(true));
  };
  const set = ({ target }) => apply(target, null);
  const typed = ({ target }) => apply(target, { typed: target.name });
  const soon = (event) => (clearTimeout(timer), (timer = setTimeout(typed, TYPED_MS, event)));
  return { set, typed, soon };
}

function filters(view, place, read) {
  const { query } = view;
  const { set, typed, soon } = setter(view, read);
  const choice = (name, values, all) => {
    const options = [["", all], ...values];
    return select(options, query.get(name) ?? "", { name, onchange: set });
  };
  const text = (name, placeholder) =>
    input({ type: "search", name, placeholder, value: query.get(name) ?? "", oninput: soon, onchange: typed });
  const more = ["kind", "model", "since", "until", "key"].some((name) => query.get(name));
  const rest = [
    field("Kind", choice("kind", KINDS, "Any kind")),
    field("Model", text("model", "Any model")),
    accepted(view, set),
    field("Key", text("key", "Its id: key_…")),
  ];
  const first = [
    place.tenant,
    field("State", choice("status", JOB_STATES, "Any state")),
    field("Callback", choice("delivery", DELIVERY_STATES, "Any state")),
    field("Conversation", text("session_id", "session_id or URL")),
    field("Error", text("error", "Code or words")),
  ];
  const details = h("details", { open: more }, h("summary.small", {}, "More filters"), h("div.filters", {}, rest));
  return h(
    "search",
    { "aria-label": "Filters" },
    h("div.filters", {}, first),
    h("div.filter-foot", {}, details, place.clear),
  );
}
