/** A request as commands of several languages, with the reader's key. */

import { fill, h } from "../dom.js";
import { code } from "./code.js";
import { ask } from "./dialog.js";
import { field, input } from "./fields.js";

/** `make` gets the key, or what stands for it, and returns the commands by language; `draw` shows what it makes now. */
export function commands(session, make) {
  const element = h("div.stack");
  const chosen = { name: null };
  const draw = () => {
    const key = session.copiedKey;
    fill(element, code(make(key), { secret: key, chosen }), session.knowsKey ? null : missing(session, draw));
  };
  draw();
  return { element, draw };
}

/** A page that was loaded again does not know the key: it is in a cookie that no script can read. */
function missing(session, draw) {
  const act = async () => {
    const key = input({ name: "key", type: "password", required: true });
    const about = "The one that you are signed in with. This page knows it until it is loaded again.";
    const put = (form) => session.know(form.get("key").trim());
    if (await ask({ title: "Put your key into the commands", body: field("Key", key, about), action: "Put it in", act: put }))
      draw();
  };
  const button = h("button.button.tight", { type: "button", onclick: act }, "Put it in");
  return h("p.row.muted.small", {}, h("span", {}, h("code", {}, "YOUR_KEY"), " stands for your key, which this page does not know."), button);
}
