/** The reader's own inbox for callbacks: all that came to it, from whatever sent it. */

import { get, post, remove } from "../api.js";
import { fill, h, sync } from "../dom.js";
import { jobPath } from "../router.js";
import { time } from "../time.js";
import { badge } from "./badge.js";
import { attempt, card } from "./notice.js";
import { bubble } from "./talk.js";
import { said } from "./text.js";

const SHOWN = 20;
/** A callback may name anything. */
const JOB = /^job_[0-9a-f]+$/;
const SIGNATURES = {
  verified: ["good", "Signature verified"],
  wrong: ["bad", "Wrong signature"],
  missing: ["bad", "No signature"],
};

export class Inbox {
  /** Its address, null until it is asked for. */
  url = null;

  constructor(view) {
    this.view = view;
    this.list = h("ol.bubbles.card-body");
    this.clear = h("button.button.tight", { type: "button", onclick: () => this.#empty() }, "Empty it");
    this.place = h("div");
    this.element = card("Inbox", this.place, this.clear);
    view.again(() => this.#read());
    view.live(async () => void (await this.#read()));
  }

  async open() {
    this.url ??= (await post("/v1/inbox")).url;
  }

  /** The callback of a job, if it came. */
  async find(jobId) {
    return (await this.#read()).find((item) => item.job_id === jobId);
  }

  async #read() {
    const { items } = await get("/v1/inbox", { limit: SHOWN }, this.view.signal);
    sync(
      this.list,
      items.map((one) => ({ key: one.id, value: one.id, make: () => callback(one) })),
    );
    const nothing = h("p.card-body.muted", {}, "Nothing has come in the last day.");
    fill(this.place, items.length ? this.list : nothing);
    this.clear.hidden = !items.length;
    return items;
  }

  #empty() {
    return attempt(this.clear, async () => {
      await remove("/v1/inbox");
      await this.#read();
    });
  }
}

/** A callback as it came: its answer, and on request its headers and body. */
export function callback({ body, truncated, headers, signature, received_at: at, job_id: named }) {
  const job = JOB.test(named) ? named : null;
  const sent = parsed(body) ?? (truncated ? beginning(body) : null);
  const [tone, words] = SIGNATURES[signature] ?? ["", signature];
  const lines = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
  const link = job ? h("a", { href: jobPath(job) }, "Its job") : null;
  const cut = truncated ? h("p.problem", {}, "Cut: only the first 64 KiB are kept here. ", whole(job)) : null;
  const raw = h(
    "details",
    {},
    h("summary", {}, "Headers and body"),
    h(
      "div.code",
      {},
      h("pre", { tabindex: "0" }, lines, "\n\n", said(sent && !truncated ? JSON.stringify(sent, null, 2) : body, "span")),
    ),
    truncated ? h("p", {}, "… The rest of the body is not kept.") : null,
  );
  const text = sent?.response ?? sent?.error?.message ?? body;
  return bubble("assistant", text, [h("div.row", {}, badge(words, tone), time(at), link), cut, raw]);
}

const whole = (job) => (job ? h("a", { href: jobPath(job) }, "The whole answer is on the job's page.") : null);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What the beginning of a body says that was cut within its answer. */
const beginning = (body) => parsed(`${body.replace(/\\(u[0-9a-f]{0,3})?$/i, "")}"}`);
