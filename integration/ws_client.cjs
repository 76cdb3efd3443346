// A client of Node's ws: node ws_client.cjs FOLDER URL, where FOLDER holds node_modules. Prints what was agreed, then
// each message as a line of JSON. Ends when its standard input does, and so with whoever started it.
const WebSocket = require(require.resolve("ws", { paths: [process.argv[2]] }));

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const socket = new WebSocket(process.argv[3]);
socket.on("open", () => print(socket.extensions));
socket.on("message", (data) => print(data.toString()));
process.stdin.on("end", () => process.exit()).resume();
