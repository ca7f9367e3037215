/** An answer of chat completions, drawn while it comes: thoughts, text, calls of tools. */

import { fill, h } from "../dom.js";
import { call } from "./items.js";
import { append } from "./text.js";

export class Answer {
  text = "";
  finish = null;
  usage = null;
  started = performance.now();
  #thought = "";
  #calls = [];
  #drawn = { text: 0, thought: 0 };

  constructor() {
    this.said = h("div.said", { dir: "auto" });
    this.thoughts = h("div.said.muted", { dir: "auto" });
    this.thinking = h("details", { hidden: true, open: true }, h("summary", {}, "Thought"), this.thoughts);
    this.calls = h("div.stack");
    this.element = h("div", {}, this.thinking, this.said, this.calls);
  }

  /** Raises the error that a stream ends with. */
  take(chunk) {
    if (chunk.error) throw new Error(chunk.error.message);
    this.usage = chunk.usage ?? this.usage;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const { content, reasoning, reasoning_content: thought, tool_calls: calls } = choice.delta ?? {};
    this.text += content ?? "";
    this.#thought += reasoning ?? thought ?? "";
    for (const each of calls ?? []) this.#call(each);
    this.finish = choice.finish_reason ?? this.finish;
  }

  get isEmpty() {
    return !this.text && !this.#calls.length;
  }

  draw() {
    append(this.thoughts, this.#thought.slice(this.#drawn.thought));
    append(this.said, this.text.slice(this.#drawn.text));
    this.#drawn = { text: this.text.length, thought: this.#thought.length };
    this.thinking.hidden = !this.#thought;
    if (this.#calls.length) {
      fill(
        this.calls,
        this.#calls.filter(Boolean).map(({ name, text }) => h("div", {}, call(`Calls ${name}`, text))),
      );
    }
  }

  /** Its pieces come apart, by `index`. */
  #call({ index = 0, function: { name = "", arguments: text = "" } = {} }) {
    const one = (this.#calls[index] ??= { name: "", text: "" });
    one.name += name ?? "";
    one.text += text ?? "";
  }
}
