/** The models to choose from, for fields that name `models` as their list. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";

/** It stays empty where they cannot be listed now: any name may still be typed. */
export function modelList(view) {
  const list = h("datalist", { id: "models" });
  const read = async () => {
    const { data } = await get("/v1/models", null, view.signal);
    fill(
      list,
      data.map(({ id }) => h("option", { value: id })),
    );
  };
  read().catch(() => null);
  return list;
}
