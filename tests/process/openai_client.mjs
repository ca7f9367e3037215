// The official `openai` package for Node, used as anybody would; prints what it saw. Arguments: base URL, key.
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const ask = (text, more = {}, options = {}) =>
  client.chat.completions.create({ model: "fake", messages: [{ role: "user", content: text }], ...more }, options);
const raised = async (work) => {
  try {
    await work();
    return null;
  } catch (error) {
    return [error.constructor.name, error.status ?? null, error.code ?? null];
  }
};
const drain = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};

const chat = await ask("node asks");
const chunks = await drain(await ask("node streams", { stream: true, stream_options: { include_usage: true } }));
const models = [];
for await (const model of client.models.list()) models.push(model.id);

const conversation = await client.conversations.create();
const turn = client.responses.stream({ model: "fake", input: "node takes a turn", conversation: conversation.id });
const first = await client.responses.create({ model: "fake", input: "node responds" });
const next = client.responses.stream({ model: "fake", input: "node thinks", previous_response_id: first.id });
const kinds = (await drain(next)).map((event) => event.type);
const final = await next.finalResponse();
let background = await client.responses.create({ model: "fake", input: "node leaves", background: true });
while (["queued", "in_progress"].includes(background.status)) {
  background = await client.responses.retrieve(background.id);
}
const items = await client.responses.inputItems.list(final.id, { order: "asc" });
const hanging = await client.responses.create({ model: "fake", input: "node late", background: true });
const cancelled = await client.responses.cancel(hanging.id);
const left = await client.responses.create({ model: "fake", input: "node resumes", background: true, stream: true });
const created = (await left[Symbol.asyncIterator]().next()).value;
const rest = await drain(
  await client.responses.retrieve(created.response.id, { stream: true, starting_after: created.sequence_number }),
);
await client.responses.delete(first.id);

const said = [{ role: "user", content: "kept" }];
const kept = await client.conversations.create({ items: said, metadata: { a: "b" } });
const added = await client.conversations.items.create(kept.id, { items: said });
const listed = [];
for await (const item of client.conversations.items.list(kept.id, { limit: 1 })) listed.push(item.role);
await client.conversations.items.delete(added.data[0].id, { conversation_id: kept.id });
const changed = await client.conversations.update(kept.id, { metadata: { c: "d" } });

/** Version 6 only verifies. */
async function webhooks() {
  if (!client.webhooks.create) return null;
  const event_types = ["response.completed"];
  const made = await client.webhooks.create({ name: "shop", url: "http://127.0.0.1:9/x", event_types });
  const rotated = await client.webhooks.rotateSecret(made.id);
  const endpoints = [];
  for await (const endpoint of client.webhooks.list()) endpoints.push(endpoint.id === made.id);
  const unreachable = await raised(() => client.webhooks.test(made.id, { event_type: event_types[0] }));
  const { deleted } = await client.webhooks.delete(made.id);
  return [rotated.signing_secret !== made.signing_secret, endpoints, unreachable, deleted];
}

const once = { headers: { "Idempotency-Key": "node once" } };
await client.responses.create({ model: "fake", input: "node once" }, once);

console.log(
  JSON.stringify({
    chat: chat.choices[0].message.content,
    streamed: chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""),
    usage: chunks.at(-1).usage.total_tokens > 0,
    models,
    model: (await client.models.retrieve("vendor/large:free")).id,
    unknown: await raised(() => client.models.retrieve("vendor/none")),
    limited: await raised(() => ask("node 429")),
    failed: await raised(() => ask("node 500")),
    refused: await raised(() => ask("node 404")),
    broken: await raised(async () => drain(await ask("node broken", { stream: true }))),
    late: await raised(() => ask("node late", {}, { timeout: 300 })),
    turn: (await turn.finalResponse()).output_text,
    response: first.output_text,
    items: final.output.map((item) => item.type),
    last: kinds.at(-1),
    background: background.output_text,
    input: items.data.map((item) => item.role),
    cancelled: cancelled.status,
    resumed: rest.at(-1).type,
    deleted: await raised(() => client.responses.retrieve(first.id)),
    turns: listed,
    changed: changed.metadata,
    gone: (await client.conversations.delete(kept.id)).deleted,
    webhooks: await webhooks(),
    conflict: await raised(() => client.responses.create({ model: "fake", input: "node twice" }, once)),
    embedded: (await client.embeddings.create({ model: "fake", input: ["a", "b"], encoding_format: "float" })).data.length,
    completed: (await client.completions.create({ model: "fake", prompt: "so" })).choices[0].text,
    wrong: await raised(() => client.responses.create({ model: "fake", input: [{ type: "song" }] })),
    cut: (await drain(await client.responses.create({ input: "node broken", stream: true }))).at(-1).type,
    stranger: await raised(() => new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 }).models.list()),
  }),
);
