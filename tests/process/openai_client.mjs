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
    stranger: await raised(() => new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 }).models.list()),
  }),
);
