import { fill, h } from "../dom.js";
import { empty } from "../parts/notice.js";

export const title = "Not found";

export function page({ root }) {
  const home = h("a.button", { href: "/console" }, "Go to Home");
  fill(root, h("h1.unseen", {}, title), empty("There is no such page", "The address may be mistyped.", home));
}
