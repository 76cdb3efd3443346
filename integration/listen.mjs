// Prints the events of a stream, one JSON array a line, with npm's `eventsource`, until its standard input ends.
// Arguments: the folder in which the package is installed, the URL, the types of events.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, url, ...types] = process.argv.slice(2);
const resolved = createRequire(join(folder, "package.json")).resolve("eventsource");
const { EventSource } = await import(pathToFileURL(resolved));
const source = new EventSource(url);
for (const type of types) {
  source.addEventListener(type, (event) => {
    process.stdout.write(`${JSON.stringify([type, event.data, event.lastEventId])}\n`);
  });
}
process.stdin.on("end", () => {
  source.close();
  process.exit(0);
});
process.stdin.resume();
