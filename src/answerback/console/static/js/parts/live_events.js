/** The events of a background response that was asked for as a stream; no other has any. */

import { eventsOf, send } from "../api.js";
import { fill, h } from "../dom.js";
import { counted } from "../format.js";
import { passes } from "./failed.js";
import { append } from "./text.js";

/** Events that are shown: the newest. An answer of a megabyte has hundreds of thousands. */
const SHOWN = 200;
const FRAME_MS = 16;
const RETRY_MS = 3000;
/** The share of the time that goes into drawing what comes, so that the page stays quick. */
const DRAWING = 1 / 4;

/**
 * Draws them in `parts.events`, and the text that they bring in `parts.output` until that `isWhole`; `live` is what stands
 * around them.
 */
export async function follow(view, address, parts, live) {
  const drawing = draft(parts);
  let after = null;
  const read = async () => {
    const query = { stream: "true", starting_after: after };
    const response = await send("GET", address, { query, signal: view.signal });
    live.hidden = false;
    for await (const { event, data } of eventsOf(response)) {
      if (data === "[DONE]") return false;
      const said = JSON.parse(data);
      after = said.sequence_number ?? after;
      drawing.take(event, said);
      if (event === "error") return false;
    }
    return null;
  };
  // Where the service stops meanwhile, or the connection breaks, it is read on from there.
  const more = () => read().catch((error) => (passes(error) ? null : false)).finally(drawing.end);
  if ((await more()) === null) view.every(RETRY_MS, more);
}

/** What came, drawn now and then. */
function draft(parts) {
  const said = h("div.said", { dir: "auto" });
  const earlier = h("li.muted");
  let text = "";
  let came = 0;
  let fresh = [];
  let wait = FRAME_MS;
  let asked = null;

  function draw() {
    asked = null;
    const began = performance.now();
    if (text && !parts.isWhole) {
      if (!said.isConnected) fill(parts.output, said);
      append(said, text);
    }
    earlier.remove();
    parts.events.prepend(...fresh.reverse());
    while (parts.events.childElementCount > SHOWN) parts.events.lastChild.remove();
    if (came > SHOWN) parts.events.append(fill(earlier, `${counted(came - SHOWN, "earlier event")} not shown`));
    text = "";
    fresh = [];
    wait = Math.max(FRAME_MS, (performance.now() - began) / DRAWING);
  }
  function take(event, { delta, sequence_number: number }) {
    if (event.endsWith("output_text.delta")) text += delta;
    came += 1;
    fresh.push(h("li", {}, h("span.muted", {}, String(number ?? "")), h("code", {}, event)));
    if (fresh.length > SHOWN) fresh.shift();
    asked ??= setTimeout(draw, wait);
  }
  function end() {
    clearTimeout(asked);
    draw();
  }
  return { take, end };
}
