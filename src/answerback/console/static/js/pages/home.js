/** How the service is: its provider, what waits, what was answered, and how to send a first message. */

import { get, written } from "../api.js";
import { serviceNow } from "../clock.js";
import { fill, h } from "../dom.js";
import { counted, number, sentence, short } from "../format.js";
import { badge, label } from "../parts/badge.js";
import { bars, minuteChart } from "../parts/chart.js";
import { commands } from "../parts/commands.js";
import { jobsTable } from "../parts/jobs_table.js";
import { card, empty, head } from "../parts/notice.js";
import { relaySamples } from "../parts/samples.js";
import { rest, standing } from "../parts/standing.js";
import { ALL, whose } from "../parts/tenants.js";
import { inline } from "../parts/text.js";
import { minute, span } from "../time.js";

export const title = "Home";

const RECENT = 8;

export async function page(view) {
  const parts = {
    figures: h("div.figures"),
    failures: h("div.card-body"),
    chart: minuteChart(),
    recent: recent(view.session.tenant),
  };
  const test = h("a.button.primary", { href: "/console/playground?by=webhook" }, "Send a test message");
  const all = view.session.operator && !view.session.keyless;
  const tenant = all ? chosenTenant(view) : null;
  const lead = all && !tenant ? "All tenants together." : null;
  fill(
    view.root,
    head("Home", lead, whose(view), test),
    h(
      "div.stack",
      {},
      parts.figures,
      h(
        "div.columns",
        {},
        card("Answers a minute", h("div.card-body", {}, parts.chart.figure), parts.chart.caption),
        card("Failures in 24 hours", parts.failures),
      ),
      h("div.columns", {}, parts.recent.element, first(view.session)),
    ),
  );
  const overview = () => get("/v1/overview", { tenant }, view.signal);
  const jobs = () => get("/v1/jobs", { limit: RECENT, tenant: tenant ?? (all ? ALL : null) }, view.signal);
  const drawOverview = (latest) => draw(parts, latest, tenant);
  const drawJobs = ({ items }) => parts.recent.draw(items.slice(0, RECENT));
  if (!tenant) return Promise.all([view.onLatest("overview", overview, drawOverview), view.onLatest("jobs", jobs, drawJobs)]);
  // The feed is of all tenants.
  const read = async () => {
    const [latest, newest] = await Promise.all([overview(), jobs()]);
    drawOverview(latest);
    drawJobs(newest);
  };
  await read();
  view.live(read);
}

/** Null: all of them. */
function chosenTenant({ query }) {
  const named = query.get("tenant");
  return named === ALL ? null : named;
}

function draw(parts, overview, tenant) {
  fill(parts.figures, provider(overview), open(overview, tenant), callbacks(overview, tenant), tokens(overview));
  parts.chart.draw(overview.minutes);
  fill(parts.failures, failures(overview.failures, tenant));
}

const figure = (name, value, ...about) =>
  h("section.card.figure", {}, h("h2", {}, name), h("div.value", {}, value), h("div.about", {}, about));

function provider({ mock, providers, default_model: model }) {
  if (mock)
    return figure(
      "Provider",
      badge("Mock", "warn"),
      h("span", {}, "No LLM is asked: a mock answers, as ", h("code", {}, model), "."),
      h("span", {}, "For real answers set a provider's key, and no MOCK_MODE."),
    );
  const preset = h("div.cut", {}, "Default ", h("code", {}, model));
  const [only, ...others] = providers;
  if (others.length) return figure("Providers", reached(providers), preset, providers.map(one));
  const named = only ? h("div", {}, inline(only.name)) : null;
  return figure("Provider", only ? standing(only) : badge("None"), only ? rest(only) : null, named, why(only) ?? preset);
}

/** How many of several can be reached. */
function reached(providers) {
  const n = providers.filter(({ reachable }) => reachable).length;
  const isKnown = providers.some(({ reachable }) => reachable !== null);
  const tone = !isKnown ? "" : n === providers.length ? "good" : n ? "warn" : "bad";
  return badge(isKnown ? `${n} of ${providers.length} reachable` : "No answer yet", tone);
}

const one = (provider) =>
  h("div.lines.provider", {}, h("div.strong", {}, inline(provider.name)), standing(provider), rest(provider), why(provider));

const why = (provider) =>
  provider?.reachable === false && provider.error ? h("div.cut", { title: provider.error }, provider.error) : null;

function open({ jobs, oldest_queued_seconds: oldest }, tenant) {
  const states = ["queued", "running", "held", "scheduled", "awaiting", "quarantined"];
  const sum = states.reduce((so, state) => so + jobs[state], 0);
  const links = states
    .filter((state) => jobs[state])
    .map((state) => h("a", { href: `/console/jobs${written({ status: state, tenant })}` }, `${short(jobs[state])} ${state}`));
  const age = oldest === null ? "Nothing waits in the queue." : `The oldest in the queue has waited ${span(oldest)}.`;
  return figure("Open jobs", short(sum), h("div.row", {}, links), h("div", {}, age));
}

function callbacks({ callbacks: owed }, tenant) {
  const states = { pending: "pending", held: "held", sending: "being sent", dead: "dead" };
  const shown = Object.entries(states)
    .filter(([state]) => owed[state])
    .map(([state, words]) => h("a", { href: `/console/jobs${written({ delivery: state, tenant })}` }, `${short(owed[state])} ${words}`));
  return figure(
    "Callbacks owed",
    short(owed.owed),
    h("div.row", {}, shown.length ? shown : "Every receiver has what it is owed."),
  );
}

function tokens({ tokens_today: today }) {
  return figure(
    "Tokens today",
    short(today.total),
    h("span", {}, `${number(today.prompt)} read, ${number(today.completion)} written`),
    h("span", {}, `Since midnight UTC: ${minute(new Date(serviceNow()).setUTCHours(0, 0, 0, 0))} here`),
  );
}

function failures(rows, tenant) {
  if (!rows.length) return h("p.muted", {}, "None.");
  return bars(
    rows.map(({ code: name, count, calls }) => ({
      name: sentence(name),
      value: count,
      words: [count - calls && counted(count - calls, "job"), calls && counted(calls, "call")].filter(Boolean).join(", "),
      tone: "failed",
      href: count > calls ? jobsThatFailed(name, tenant) : null,
    })),
  );
}

/** Calls whose clients waited for them are not listed. */
function jobsThatFailed(code, tenant) {
  return `/console/jobs${written({ status: code === "expired" ? "expired" : "failed", error: code, since: 24, tenant })}`;
}

function recent(own) {
  const table = jobsTable("Newest jobs", { compact: true, own });
  const nothing = empty("No jobs yet", "Send a first message with the command of this page, or with its button.");
  const place = h("div", {}, nothing);
  const all = h("a.small", { href: "/console/jobs" }, "All jobs");
  return {
    element: card("Newest jobs", place, all),
    draw(jobs) {
      table.draw(jobs);
      fill(place, jobs.length ? table.element : nothing);
    },
  };
}

/** The first message, as a command that works as it stands. */
function first(session) {
  const body = {
    message: "My dog is called Biscuit.",
    callback_url: "http://127.0.0.1:9000/callback",
    session_id: "customer-42",
  };
  const steps = h(
    "ol.steps",
    {},
    h("li", {}, "Start a receiver in a terminal: ", h("code", {}, "answerback listen 9000")),
    h("li", {}, "Send a message. The answer comes to the receiver, signed."),
  );
  const samples = commands(session, (key) => relaySamples(body, key));
  return card(
    "Send a message",
    h("div.card-body.stack", {}, steps, samples.element),
    label("POST /webhook"),
  );
}
