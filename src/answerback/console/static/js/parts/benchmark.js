/** Benchmarks: run with a progress bar, one model after the other, compared in a chart; and those of before. */

import { eventsOf, get, send } from "../api.js";
import { fill, h } from "../dom.js";
import { counted, number } from "../format.js";
import { exact, span, time } from "../time.js";
import { bars } from "./chart.js";
import { area, field, input } from "./fields.js";
import { attempt, card, empty, failure, once } from "./notice.js";
import { inline } from "./text.js";

const PROMPTS = "Say hello in three languages.\nWhat is the capital of France?";
const MEASURES = [
  ["Latency, p50", (all) => all.latency?.p50, span],
  ["Latency, p95", (all) => all.latency?.p95, span],
  ["First token, p50", (all) => all.time_to_first_token?.p50, span],
  ["Tokens a second, p50", (all) => all.tokens_per_second?.p50, (value) => number(Math.round(value))],
];

/** The cards of a page. They stay with the session: a benchmark goes on while its reader looks at other pages. */
export function benchmark({ session, signal }) {
  session.benchmarks ??= cards(session);
  session.benchmarks.readPast(signal);
  return session.benchmarks.element;
}

function cards(session) {
  const past = h("div");
  const results = h("div.stack");
  const progress = h("div");
  const shown = new Map();
  const draw = () => fill(results, shown.size ? compared([...shown.values()]) : null);
  const readPast = async (signal) => {
    try {
      const { items } = await get("/v1/benchmarks", null, signal);
      fill(past, before(items, shown, draw));
    } catch (error) {
      if (error.name !== "AbortError") fill(past, h("div.card-body", {}, failure(error)));
    }
  };
  const form = formOf(session, (asked) => run(session, asked, progress, { shown, draw, readPast }));
  const element = h(
    "div.columns",
    {},
    h("div.stack", {}, progress, results, card("Past benchmarks", past)),
    card("Run a benchmark", h("div.card-body", {}, form)),
  );
  return { element, readPast };
}

function formOf(session, start) {
  const models = input({ list: "models", value: session.default_model, required: true });
  const prompts = area({ rows: 4, value: PROMPTS, required: true });
  const whole = (value, max) => input({ type: "number", min: 1, max, step: 1, value, required: true });
  const [runs, concurrency, longest] = [whole(3, 100), whole(5, 100), whole(256, 100_000)];
  const button = h("button.button.primary", { type: "submit" }, "Run");
  const about = h("p.muted.small", {}, "Each call counts against your rate, and the provider charges for it.");
  const submit = async (event) => {
    event.preventDefault();
    const names = models.value
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean);
    const counts = { runs: runs.value, concurrency: concurrency.value, max_tokens: longest.value };
    await once(button, () => start({ names, prompts: prompts.value, ...counts }));
  };
  return h(
    "form.form",
    { onsubmit: submit },
    field("Models", models, "Several are separated by commas, and compared."),
    field("Prompts", prompts, "One a line."),
    h("div.pair", {}, field("Runs of each", runs), field("At once", concurrency)),
    field("Max. tokens", longest),
    about,
    button,
  );
}

/** Measures one model after the other. The service ends a benchmark whose client is gone: closing the page asks first. */
async function run({ signal }, asked, progress, { shown, draw, readPast }) {
  const reports = new Map();
  const stay = (event) => event.preventDefault();
  addEventListener("beforeunload", stay);
  try {
    for (const model of unlistedFirst(asked.names)) {
      reports.set(model, await measured(signal, model, asked, progress));
      shown.clear();
      for (const name of asked.names) if (reports.has(name)) shown.set(name, { ...reports.get(name), title: name });
      draw();
      await readPast(signal);
    }
    fill(progress);
  } catch (error) {
    const why = error.status === 0 ? new Error("The benchmark broke off: the service was away.") : error;
    fill(progress, error.name === "AbortError" ? null : failure(why));
  } finally {
    removeEventListener("beforeunload", stay);
  }
}

/** A name that is misspelt is refused before the others have been measured. */
function unlistedFirst(names) {
  const listed = new Set([...document.querySelectorAll("#models option")].map(({ value }) => value));
  return [...names].sort((one, other) => listed.has(one) - listed.has(other));
}

async function measured(signal, model, asked, progress) {
  const bar = h("progress.progress", { value: 0, max: 1, "aria-label": `Benchmark of ${model}` });
  const words = h("p", { role: "status" }, `Asking ${model}…`);
  fill(progress, h("section.card", { "aria-label": "Progress" }, h("div.card-body.stack", {}, words, bar)));
  const response = await send("POST", "/benchmark", {
    body: formBody(model, asked),
    headers: { Accept: "text/event-stream" },
    signal,
  });
  for await (const { event, data } of eventsOf(response)) {
    const said = JSON.parse(data);
    if (event === "progress") {
      bar.max = said.of;
      bar.value = said.done;
      fill(words, `${model}: ${number(said.done)} of ${counted(said.of, "call")}`);
    }
    if (event === "error") throw new Error(said.error?.message ?? "The benchmark failed.");
    if (event === "result") return said;
  }
  throw new Error("The benchmark broke off.");
}

function formBody(model, { prompts, runs, concurrency, max_tokens }) {
  const form = new FormData();
  form.set("prompt_file", new Blob([prompts], { type: "text/plain" }), "prompts.txt");
  for (const [name, value] of Object.entries({ model, runs, concurrency, max_tokens })) form.set(name, value);
  return form;
}

/** Shows a past one beside those that are shown, or takes it away. */
async function toggle(one, button, shown, draw) {
  await attempt(button, async () => {
    if (!shown.delete(one.name)) {
      const report = await get(`/v1/benchmarks/${encodeURIComponent(one.name)}`);
      const when = one.created_at ? `, ${exact(one.created_at)}` : "";
      shown.set(one.name, { ...report, title: `${report.model}${when}` });
    }
    button.setAttribute("aria-pressed", String(shown.has(one.name)));
    draw();
  });
}

/** Reports side by side: a chart for each measure, and what failed. */
function compared(reports) {
  const charts = MEASURES.map(([name, find, words]) => {
    const rows = reports.map((report) => ({
      name: report.title,
      value: find(report.overall) ?? 0,
      words: find(report.overall) ? words(find(report.overall)) : "–",
    }));
    return h("section.measure", {}, h("h3", {}, name), bars(rows));
  });
  const failed = reports.map(({ title, overall, failure_reasons = {} }) => {
    if (!overall.failures) return null;
    const why = Object.entries(failure_reasons).map(([code, reason]) => `; ${code}: ${reason}`).join("");
    const some = `${title}: ${number(overall.failures)} of ${counted(overall.calls, "call")} failed`;
    return h("p.problem.small", {}, some + why);
  });
  return card("Result", h("div.card-body.stack", {}, h("div.measures", {}, charts), failed));
}

function before(items, shown, draw) {
  if (!items.length)
    return empty("No benchmarks yet", "Run one with the form of this page: it is stored with all its runs, and can be compared with later ones.");
  const row = (one) =>
    h(
      "li.item",
      {},
      h(
        "div.item-words",
        {},
        h("p.strong", {}, inline(one.model ?? one.name)),
        h(
          "p.small.muted",
          {},
          one.calls ? `${counted(one.calls, "call")}, ` : null,
          one.created_at ? time(one.created_at) : one.name,
        ),
      ),
      h(
        "button.button.tight",
        {
          type: "button",
          "aria-label": `Show ${one.name}`,
          "aria-pressed": String(shown.has(one.name)),
          onclick: ({ currentTarget }) => toggle(one, currentTarget, shown, draw),
        },
        "Show",
      ),
    );
  return h("ul.items", {}, items.map(row));
}
