/** Messages of the relay: accepted, answered by a worker, and called back, by default to the inbox of this page. */

import { get, newKey, post } from "../api.js";
import { fill, h } from "../dom.js";
import { badge, deliveryBadge, ENDED, jobBadge } from "./badge.js";
import { empty, failure } from "./notice.js";
import { relaySamples } from "./samples.js";
import { bubble, composer, transcript } from "./talk.js";
import { said } from "./text.js";
import { time } from "../time.js";

const EXAMPLE = "My dog is called Biscuit.";
const REREAD_MS = 700;
const OPEN = ["held", "pending", "sending"];
const SIGNATURES = {
  verified: ["good", "Signature verified"],
  wrong: ["bad", "Wrong signature"],
  missing: ["bad", "No signature"],
};

export class Relay {
  #inbox = null;
  #sent = EXAMPLE;

  constructor(view, settings) {
    this.view = view;
    this.settings = settings;
    this.log = transcript(
      "Messages",
      empty(
        "Send a message",
        "It is accepted at once. The answer comes by a callback, which is shown here with its headers.",
      ),
    );
    this.composer = composer({ value: EXAMPLE, send: (text) => this.#send(text) });
    this.element = h("section.card.talk", {}, this.log.element, this.log.news, this.composer.element);
  }

  focus() {
    this.composer.text.focus({ preventScroll: true });
    this.composer.text.select();
  }

  samples() {
    const url = this.#inbox ?? "http://127.0.0.1:9000/callback";
    const message = this.composer.text.value.trim() || this.#sent;
    return relaySamples({ message, callback_url: url, ...this.settings.read() }, this.view.session.copiedKey);
  }

  async #send(text) {
    const foot = h("div.row", {}, "…");
    this.log.add(bubble("user", text, foot));
    try {
      const own = this.settings.read().callback_url;
      if (!own) this.#inbox ??= (await post("/v1/inbox")).url;
      const body = { message: text, callback_url: this.#inbox, ...this.settings.read() };
      const accepted = await post("/webhook", body, { headers: { "Idempotency-Key": newKey() } });
      this.#follow(
        accepted.job_id,
        foot,
        own ? null : h("li", {}, h("p.muted.small", {}, "Waiting for the callback…")),
      );
      this.#sent = text;
      return true;
    } catch (error) {
      fill(foot, failure(error));
      return false;
    }
  }

  /** Shows how the job stands until its callback has come. */
  #follow(jobId, foot, coming) {
    const link = h("a", { href: `/console/jobs/${jobId}` }, "Timeline");
    const draw = (job) =>
      fill(
        foot,
        jobBadge(job.status),
        job.delivery ? deliveryBadge(job.delivery.status) : null,
        link,
        job.error ? h("span.problem", {}, job.error.message) : null,
      );
    draw({ status: "queued" });
    if (coming) this.log.add(coming);
    this.view.every(REREAD_MS, async () => {
      const job = await get(`/v1/jobs/${jobId}`, null, this.view.signal);
      draw(job);
      const came = coming && job.delivery?.attempts.length ? await this.#callback(jobId) : null;
      if (came) {
        const one = callback(came);
        this.log.grow(() => coming.replaceWith(one));
        this.log.say(one.querySelector(".bubble-body").textContent);
      }
      return !(ENDED.includes(job.status) && !OPEN.includes(job.delivery?.status) && (came || !coming));
    });
  }

  async #callback(jobId) {
    const { items } = await get("/v1/inbox", { limit: 20 }, this.view.signal);
    return items.find((item) => item.job_id === jobId);
  }
}

/** A callback as it came: its answer, and on request its headers and body. */
function callback({ body, headers, signature, received_at: at }) {
  const sent = parsed(body);
  const [tone, words] = SIGNATURES[signature] ?? ["", signature];
  const lines = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
  const raw = h(
    "details",
    {},
    h("summary", {}, "Headers and body"),
    h(
      "div.code",
      {},
      h("pre", { tabindex: "0" }, lines, "\n\n", said(sent ? JSON.stringify(sent, null, 2) : body, "span")),
    ),
  );
  const text = sent?.response ?? sent?.error?.message ?? body;
  return bubble("assistant", text, [h("div.row", {}, badge(words, tone), time(at)), raw]);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
