// The client of Durable Streams: node durable_client.cjs FOLDER URL OFFSET, where FOLDER holds node_modules. Prints each
// batch that it gets as a line of JSON. Ends when its standard input does, and so with whoever started it.
const { stream } = require(require.resolve("@durable-streams/client", { paths: [process.argv[2]] }));

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
process.stdin.on("end", () => process.exit()).resume();
stream({ url: process.argv[3], offset: process.argv[4], live: true })
  .then((session) => {
    session.subscribeJson(({ items, offset, upToDate }) => print({ items, offset, upToDate }));
    return session.closed;
  })
  .then(() => print({ error: "closed" }))
  .catch((error) => print({ error: String(error) }));
