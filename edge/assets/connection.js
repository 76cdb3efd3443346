// The connection to an edge: it connects, resumes with the newest cursor, and waits before it tries again.
//
// It follows docs/protocol.md and knows nothing of the page. The page gets three calls:
//   onState({ name, until, reason })   "connecting", "live", "waiting" (until: the next attempt, in ms of Date.now();
//                                      reason: "lost" or "dropped") or "closed" (reason: why the server refuses)
//   onWelcome({ recovered, reason, isFirst })
//   onPost(payload, { window })        window: the start of the post's window in ms, where the server says it

// Seconds between attempts: doubled up to a minute, and drawn at random from the upper half, so that the clients of an
// edge that restarts do not all come back at the same moment.
const SHORTEST_SECONDS = 1;
const LONGEST_SECONDS = 60;
// A browser that slept, or changed its network, may take a dead connection for an open one. After so long a silence a
// new connection is cheaper than the doubt: with a cursor it costs one welcome.
const SILENT_SECONDS = 60;

/** Tell whether a close code asks a client not to come back (docs/protocol.md, "Close codes"). */
export function isFinal(code) {
  return code === 1002 || code === 1008 || code === 1009 || (code >= 4500 && code <= 4999);
}

export class Connection {
  #url;
  #history;
  #handlers;
  #socket = null;
  #timer = null;
  #state = { name: "connecting" };
  #cursor = null;
  #failures = 0;
  #heardAt = 0;

  /** `url` is where the page is; `history` is how many posts to ask for at first. */
  constructor(url, { history, onState, onWelcome, onPost }) {
    this.#url = new URL(url);
    this.#url.protocol = this.#url.protocol === "https:" ? "wss:" : "ws:";
    this.#url.hash = "";
    this.#history = history;
    this.#handlers = { onState, onWelcome, onPost };
  }

  /** The newest cursor; null before the first welcome. */
  get cursor() {
    return this.#cursor;
  }

  /** Connect, and come back from now on when the browser is online or in view again. */
  start() {
    const comeBack = () => {
      if (!document.hidden) this.#comeBack();
    };
    addEventListener("online", comeBack);
    document.addEventListener("visibilitychange", comeBack);
    this.connect();
  }

  /** Connect at once. */
  connect() {
    this.#leave();
    this.#url.search = this.#cursor === null ? `?history=${this.#history}` : `?cursor=${this.#cursor}`;
    this.#enter({ name: "connecting" });
    const socket = (this.#socket = new WebSocket(this.#url));
    this.#heardAt = Date.now();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  /** Close the connection, and come back after some seconds with the cursor that there is. */
  drop(seconds) {
    this.#leave();
    this.#wait(seconds, "dropped");
  }

  #comeBack() {
    const { name, reason } = this.#state;
    const isSilent = Date.now() - this.#heardAt > 1000 * SILENT_SECONDS;
    if (name === "waiting" ? reason === "lost" : name === "live" && isSilent) this.connect();
  }

  #receive(message) {
    this.#heardAt = Date.now();
    if (message.action === "welcome") this.#welcome(message.payload);
    else if (message.action === "created") this.#handlers.onPost(message.payload, { window: message.window });
    // Only what has a cursor says where this client stands. There will be actions that have none.
    if (typeof message.cursor === "string") this.#cursor = message.cursor;
  }

  #welcome({ recovered, reason, cursor }) {
    const isFirst = this.#cursor === null;
    this.#failures = 0;
    this.#cursor = cursor;
    this.#handlers.onWelcome({ recovered, reason, isFirst });
    this.#enter({ name: "live" });
  }

  #closed(code, reason) {
    this.#leave();
    if (isFinal(code)) {
      this.#enter({ name: "closed", reason: reason || `code ${code}` });
      return;
    }
    const longest = Math.min(LONGEST_SECONDS, SHORTEST_SECONDS * 2 ** this.#failures);
    this.#failures += 1;
    this.#wait(longest * (0.5 + 0.5 * Math.random()), "lost");
  }

  #wait(seconds, reason) {
    this.#timer = setTimeout(() => this.connect(), 1000 * seconds);
    this.#enter({ name: "waiting", reason, until: Date.now() + 1000 * seconds });
  }

  /** Have no socket and no timer: nothing of an earlier attempt is heard any more. */
  #leave() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #enter(state) {
    this.#state = state;
    this.#handlers.onState(state);
  }
}
