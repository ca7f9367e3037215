/** A response: its input, its output while it comes, and what can be done about it. */

import { get, post, remove } from "../api.js";
import { fill, h } from "../dom.js";
import { number, sentence } from "../format.js";
import { badge, label } from "../parts/badge.js";
import { ask } from "../parts/dialog.js";
import { items as shownItems } from "../parts/items.js";
import { attempt, card, toast } from "../parts/notice.js";
import { follow } from "../parts/live_events.js";
import { copyButton, id as idLink, inline, said } from "../parts/text.js";
import { go } from "../router.js";
import { exact } from "../time.js";

export const title = "Response";

/** How long a change waits at most while changes do not stop. */
const LATE_MS = 10_000;
/** Characters of a long value beside others. */
const FACT = 600;
const OPEN = ["queued", "in_progress"];
const TONES = { completed: "good", failed: "bad", incomplete: "warn", cancelled: "", queued: "", in_progress: "busy" };

export async function page(view) {
  const id = view.params.id;
  const address = `/v1/responses/${encodeURIComponent(id)}`;
  const parts = {
    top: h("div"),
    output: h("div.card-body.stack"),
    facts: h("div.card-body"),
    events: h("ol.events"),
    input: h("div.card-body.stack"),
  };
  let shown = null;
  let isOpen = true;
  const read = async () => {
    const response = await get(address, null, view.signal);
    const written = JSON.stringify(response);
    if (written !== shown) draw(parts, response, view, read);
    shown = written;
    isOpen = OPEN.includes(response.status);
  };
  await read();
  const live = card(
    "Live events",
    h("div.scroll.events-body", { tabindex: "0", role: "region", "aria-label": "Live events" }, parts.events),
  );
  live.hidden = true;
  const columns = h(
    "div.columns",
    {},
    h("div.stack", {}, card("Input", parts.input), card("Output", parts.output), live),
    card("Facts", parts.facts),
  );
  fill(view.root, parts.top, columns);
  const { data } = await get(`${address}/input_items`, { order: "asc", limit: 100 }, view.signal);
  fill(parts.input, data.length ? shownItems(data) : h("p.muted", {}, "Nothing."));
  // It may have been deleted since.
  view.live(({ looked }) => (isOpen || looked ? read() : null), { late: LATE_MS });
  if (isOpen) {
    const job = await get(`/v1/jobs/${jobOf(id)}`, null, view.signal);
    if (job.background && job.streamed) follow(view, address, parts, live);
  }
}

const jobOf = (id) => id.replace(/^resp_/, "job_");

function draw(parts, response, view, read) {
  const name = h("h1.mono.wrap", {}, response.id);
  const marks = [
    badge(sentence(response.status), TONES[response.status] ?? ""),
    response.background ? label("background") : null,
  ];
  const words = h(
    "div",
    {},
    h("p.crumb", {}, h("a", { href: "/console/responses" }, "Responses")),
    h("div.row", {}, name, copyButton(response.id, "Copy the id"), marks),
  );
  fill(parts.top, h("div.head", {}, words, h("div.actions", {}, actions(response, read))));
  fill(parts.facts, facts(response));
  const error = response.error ? h("p.problem", {}, response.error.message) : null;
  parts.isWhole = response.output.length > 0 || !OPEN.includes(response.status);
  if (parts.isWhole) fill(parts.output, error, shownItems(response.output));
  else if (!parts.output.childElementCount) fill(parts.output, h("p.muted", {}, "Not answered yet."));
}

function actions(response, read) {
  const button = (name, act) => h("button.button.danger", { type: "button", onclick: act }, name);
  if (response.background && OPEN.includes(response.status)) {
    return button("Cancel", ({ currentTarget }) =>
      attempt(currentTarget, async () => {
        const { status } = await post(`/v1/responses/${response.id}/cancel`);
        toast(status === "cancelled" ? "The response was cancelled." : `It had already ended: ${sentence(status).toLowerCase()}.`);
        await read();
      }),
    );
  }
  return button("Delete", () => erase(response));
}

async function erase(response) {
  const words = "Nothing can go on from it any more, nor from those that went on from it.";
  const act = () => remove(`/v1/responses/${response.id}`);
  if (
    await ask({
      title: "Delete this response?",
      body: h("p", {}, words),
      action: "Delete the response",
      danger: true,
      act,
    })
  ) {
    toast("The response was deleted.");
    go("/console/responses");
  }
}

function facts(response) {
  const usage = response.usage;
  const previous = response.previous_response_id;
  const rows = [
    ["Model", response.model && inline(response.model)],
    ["Tokens", usage && `${number(usage.input_tokens)} read, ${number(usage.output_tokens)} written`],
    ["Asked", exact(response.created_at * 1000)],
    ["Ended", response.completed_at && exact(response.completed_at * 1000)],
    ["Job", h("a", { href: `/console/jobs/${jobOf(response.id)}` }, "Timeline")],
    ["Goes on from", previous && idLink(previous, `/console/responses/${previous}`)],
    ["Conversation", response.conversation?.id],
    ["Instructions", response.instructions && said(response.instructions, "div.said", FACT)],
    ["Incomplete", response.incomplete_details?.reason],
  ];
  return h(
    "dl.facts",
    {},
    rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}
