/** OpenAI's items of a conversation or a response: messages, calls of tools and their outputs, thoughts. */

import { h } from "../dom.js";
import { bubble } from "./talk.js";
import { said, textOf } from "./text.js";

export const items = (list) =>
  h(
    "ol.bubbles",
    {},
    list.map((item) => shown(item)),
  );

/** An item; `foot` stands under it, small. */
export function shown(item, foot = null) {
  switch (item.type ?? "message") {
    case "message":
      return bubble(item.role, textOf(item.content), foot);
    case "function_call":
      return bubble("tool", call(`Calls ${item.name}`, item.arguments), foot);
    case "custom_tool_call":
      return bubble("tool", call(`Calls ${item.name}`, item.input), foot);
    case "function_call_output":
    case "custom_tool_call_output":
      return bubble("user", call("Output of a tool", textOf(item.output)), foot);
    case "reasoning":
      return bubble(
        "thought",
        call("Thought", textOf(item.summary?.length ? item.summary : item.content) || "…"),
        foot,
      );
    default:
      return bubble("tool", call(item.type, JSON.stringify(item, null, 2)), foot);
  }
}

/** A call of a tool, its output, or a thought. */
export const call = (name, text) => [h("p.strong.small", {}, name), said(text ?? "", "div.said.mono")];
