// The JavaScript client in Node: node follow.mjs FOLDER CLIENT URL OPTIONS, where FOLDER holds node_modules. Of the options
// `tokenUrl` is where to fetch tokens. Prints what the feed says, each as a line of JSON: [event, value]. Ends with its
// standard input, and so with whoever started it.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, client, url, options] = process.argv.slice(2);
globalThis.WebSocket ??= createRequire(`${folder}/`)("ws");
const { connect } = await import(pathToFileURL(client));
const print = (type, value) => process.stdout.write(`${JSON.stringify([type, value])}\n`);
const { tokenUrl, ...asked } = JSON.parse(options);
const fetched = async () => {
  const answer = await fetch(tokenUrl);
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return answer.text();
};
const feed = connect(url, tokenUrl ? { ...asked, token: fetched } : asked);
feed.addEventListener("state", ({ detail }) => print("state", `${detail.state} ${detail.code ?? ""}`));
feed.addEventListener("state", () => feed.session && print("session", feed.session));
feed.addEventListener("error", ({ detail }) => print("error", String(detail)));
process.stdin.on("end", () => process.exit()).resume();
for await (const { post, gap } of feed) print(...(gap ? ["gap", gap.reason] : ["post", String(post.id)]));
