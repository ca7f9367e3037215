/** Messages of the relay: accepted, answered by a worker, and called back, by default to the inbox of this page. */

import { get, newKey, post } from "../api.js";
import { fill, h } from "../dom.js";
import { deliveryBadge, ENDED, jobBadge } from "./badge.js";
import { callback, Inbox } from "./inbox.js";
import { empty, failure } from "./notice.js";
import { relaySamples } from "./samples.js";
import { bubble, composer, transcript } from "./talk.js";

const EXAMPLE = "My dog is called Biscuit.";
/** How long is waited between two looks at a job, at first; later a tenth of what was waited for it. */
const REREAD_MS = 700;
const SELDOM_MS = 10_000;
const OPEN = ["held", "pending", "sending"];

export class Relay {
  #sent = EXAMPLE;

  constructor(view, settings) {
    this.view = view;
    this.settings = settings;
    this.inbox = new Inbox(view);
    this.log = transcript(
      "Messages",
      empty(
        "Send a message",
        "It is accepted at once. The answer comes by a callback, which is shown here with its headers.",
      ),
    );
    this.composer = composer({ value: EXAMPLE, check: settings.check, send: (text) => this.#send(text) });
    const talk = h("section.card.talk", {}, this.log.element, this.log.news, this.composer.element);
    this.element = h("div.stack", {}, talk, this.inbox.element);
  }

  focus() {
    this.composer.text.focus({ preventScroll: true });
    this.composer.text.select();
  }

  /** The code names the inbox before anything is sent. */
  async prepare() {
    await this.inbox.open();
  }

  samples(key) {
    const url = this.inbox.url ?? "http://127.0.0.1:9000/callback";
    const message = this.composer.text.value.trim() || this.#sent;
    return relaySamples({ message, callback_url: url, ...this.settings.read() }, key);
  }

  async #send(text) {
    const foot = h("div.row", {}, "…");
    this.log.add(bubble("user", text, foot));
    try {
      const own = this.settings.read().callback_url;
      if (!own) await this.inbox.open();
      const body = { message: text, callback_url: this.inbox.url, ...this.settings.read() };
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
    const began = Date.now();
    this.view.every(REREAD_MS, async () => {
      const job = await get(`/v1/jobs/${jobId}`, null, this.view.signal);
      draw(job);
      const came = coming && job.delivery?.attempts.length ? await this.inbox.find(jobId) : null;
      if (came) {
        const one = callback(came);
        this.log.grow(() => coming.replaceWith(one));
        this.log.say(one.querySelector(".bubble-body").textContent);
      }
      if (ENDED.includes(job.status) && !OPEN.includes(job.delivery?.status) && (came || !coming)) return false;
      return Math.min(SELDOM_MS, Math.max(REREAD_MS, (Date.now() - began) / 10));
    });
  }
}
