// A client of Postcast's feed (docs/javascript.md): it resumes with the newest cursor, and waits before it comes back.
//
//   for await (const { post, gap } of connect("https://posts.example/", { history: 20 })) …
//
// It follows docs/protocol.md. It needs no other file; client-tabs.js is loaded when `shareTabs` asks for it.

// Seconds between attempts: doubled up to a minute, and drawn at random from the upper half, so that the clients of an
// edge that restarts do not all come back at the same moment.
const LONGEST_SECONDS = 60;
// A wait that a server asks for is obeyed up to a day: setTimeout ends one of 25 days and more at once.
const LONGEST_ASKED_SECONDS = 86_400;
// An edge answers within JOIN_SECONDS (5); what has not welcomed us after so long is not going to.
const WELCOME_MS = 20_000;
// An answer to a long poll takes 27.5 s at most, unless LONG_POLL_SECONDS says otherwise.
const POLL_MS = 75_000;
// After so long without a word a connection without heartbeats is doubted when the browser wakes up.
const SILENT_MS = 60_000;
// Whoever polls because no WebSocket got through looks after so long whether one does, and then after twice as long each
// time, up to ten minutes: an edge that was just starting refused it, or something in between that never lets one through.
const POLLING_MS = 30_000;
const LONGEST_POLLING_MS = 600_000;
// How many items may wait for who iterates. Beyond it the connection is closed, and resumed when they are taken.
const WAITING_ITEMS = 1000;
const SAVE_MS = 1000;
// An edge ends a session of more than ten errors a minute for good. After so many it is told no more what was handled.
const MOST_ERRORS = 5;
// After so many failures in a row an edge's shorter waits are not obeyed any more.
const MOST_ASKED = 5;
// So many tokens in a row may be refused where there is a function that returns another one: the clock that tells it
// when a token expires may be late by some seconds.
const MOST_REFUSED = 5;
// What the edge is too busy for is asked for again after 3 to 6 s; so is a token that could not be had, and the store. An
// edge says a minute before that a token expires.
const AGAIN_MS = 6000;
// What the statuses of HTTP that do not ask to come back are as close codes.
const FINAL_STATUSES = { 400: 4500, 401: 4501, 403: 4503, 414: 4500 };

/** Follow the feed of the edge at `url`; see client.d.ts for the options. */
export function connect(url, options) {
  return new Feed(url, options);
}

/** A store that keeps the cursor in the browser's localStorage, under `name`. */
export function localStore(name) {
  const get = () => {
    try {
      return localStorage.getItem(name);
    } catch {
      // The browser lets this page keep nothing, so no cursor is there; set says it as an error.
      return null;
    }
  };
  return { get, set: (cursor) => localStorage.setItem(name, cursor) };
}

/** Tell whether a close code asks a client not to come back (docs/protocol.md, "Close codes"). */
function isFinal(code) {
  return code === 1002 || code === 1008 || code === 1009 || (code >= 4500 && code <= 4999);
}

// Strings (with the colon after a key) and numbers.
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|-?\d[-+.\deE]*/g;

/**
 * Parse JSON; an integer that a Number cannot hold becomes a BigInt.
 *
 * Such integers are written as strings that begin with "~", which become BigInts at the end. For strings that begin so
 * themselves, or with an escape that may stand for it, "=" is put before, and taken away at the end.
 */
export function parse(text) {
  // Most messages have none, and a cursor's digits follow a quotation mark.
  if (!/(?:^|[-:,[\s])\d{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKENS, (token, colon) => {
    if (token[0] !== '"') return /^-?\d+$/.test(token) && !Number.isSafeInteger(+token) ? `"~${token}"` : token;
    return colon === undefined && /^"[~=\\]/.test(token) ? `"=${token.slice(1)}` : token;
  });
  return JSON.parse(marked, (_, value) => {
    if (typeof value !== "string") return value;
    return value[0] === "~" ? BigInt(value.slice(1)) : value[0] === "=" ? value.slice(1) : value;
  });
}

/** Return a wait at random between half and the whole of a limit. */
function drawn(limit) {
  return limit * (0.5 + 0.5 * Math.random());
}

/** Return a message that can be followed. Throws at any other: what follows it would move the cursor past it. */
function checked(message) {
  const { action, payload, cursor } = message;
  const needed = action === "welcome" ? payload.cursor : action === "created" ? cursor : action;
  if (typeof needed !== "string") throw new TypeError();
  return message;
}

/**
 * One connection at a time to an edge, made again and again.
 *
 * It hands on states, and entries: a cursor, and with it the item (a post or a gap) that the cursor has passed, if any.
 * `cursor` is the newest that came.
 */
class Link {
  #url;
  #options;
  #sink;
  #attempt = null;
  #timer;
  #socket = null;
  #state = {};
  #transport = 0;
  #failures = 0;
  #isWelcomed = false;
  #heardAt = 0;
  #patience = 0;
  #requests = 0;
  #asked = {};
  #shown;
  #errors = 0;
  #refused = 0;
  #polling = POLLING_MS;

  constructor(url, options, cursor, sink) {
    this.#url = url;
    this.#options = { ...options, transports: options.transports ?? ["websocket", "long-polling"] };
    this.#sink = sink;
    this.cursor = cursor;
  }

  /** Connect at once. A transport that does not get through is followed by the next one before anything waits. */
  connect(transport = this.#after(-1)) {
    this.leave();
    const { signal } = (this.#attempt = new AbortController());
    this.#transport = transport;
    this.#isWelcomed = false;
    this.#errors = 0;
    this.#enter({ state: "connecting" });
    // Whoever hears of a state or an error may have closed the feed, or have connected anew: then nothing here goes on.
    if (signal.aborted) return;
    this.#watch(WELCOME_MS);
    this.#token().then(
      (token) => signal.aborted || this.#open(token, signal),
      (error) => {
        if (!signal.aborted) this.#sink.fail(error);
        if (signal.aborted) return;
        // Another transport would have no token either.
        this.#transport = Infinity;
        this.#ended(1006, "there is no token");
      },
    );
  }

  /** Enter a state of waiting, and connect at its `until`. */
  wait(state) {
    this.#timer = setTimeout(() => this.connect(), state.until - Date.now());
    this.#enter(state);
  }

  /** Have no connection and no timer: nothing of an earlier attempt is heard any more. */
  leave() {
    clearTimeout(this.#timer);
    this.#attempt?.abort();
    this.#attempt = this.#socket = null;
  }

  stop() {
    this.leave();
  }

  /** Come back, or see whether the connection lives, because the browser is online or in view again. */
  wake() {
    const { state, isAsked } = this.#state;
    // The clock may have been set: any difference is a reason to look.
    const silence = Math.abs(Date.now() - this.#heardAt);
    if (state === "waiting" ? !isAsked : state === "live" && silence > (this.#patience || SILENT_MS)) this.connect();
  }

  /** Tell the edge that everything up to `cursor` was handled. Falsy where that cannot be sent now. */
  acknowledge(cursor) {
    return this.#errors < MOST_ERRORS && this.#isWelcomed && this.#request("ack", { cursor });
  }

  async #token() {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token;
  }

  #open(token, signal) {
    this.#shown = token;
    if (token && !/^[!-~]+$/.test(token)) {
      this.#ended(4500, "the token has characters that cannot be sent");
      return;
    }
    const polls = this.#options.transports[this.#transport] === "long-polling";
    const address = new URL(this.#url);
    address.protocol = address.protocol.replace(...(polls ? ["ws", "http"] : ["http", "ws"]));
    address.hash = "";
    const { author, device, history = 0 } = this.#options;
    if (author !== undefined) address.searchParams.set("author", [author].flat().join());
    if (polls) {
      this.#poll(new URL(`posts${address.search}`, address), token, signal);
      return;
    }
    if (device !== undefined) address.searchParams.set("device", device);
    // One of the two, always: it says that we understand more than posts, should a proxy drop the subprotocol.
    if (this.cursor === null) address.searchParams.set("history", history);
    else address.searchParams.set("cursor", this.cursor);
    // Node has no class before version 22: none will ever be there.
    if (!globalThis.WebSocket) {
      const canPoll = this.#after(this.#transport) > 0 || this.#after(-1) < this.#transport;
      this.#ended(canPoll ? 1006 : 4500, "there is no WebSocket here");
      return;
    }
    let socket;
    try {
      socket = new WebSocket(address, ["postcast.v1", ...(token ? [`postcast.token.${token}`] : [])]);
    } catch {
      // It can never be. The platform's own words may have the token in them.
      this.#ended(4500, "the token cannot be sent by a WebSocket, or the page may not connect to there");
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      let message;
      try {
        message = checked(parse(data));
      } catch {
        this.#ended(1006, "a message could not be read");
        return;
      }
      this.#receive(message, signal);
    };
    // Node's ws throws an error that nobody hears of. What it says comes with the close, too.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => this.#ended(code, reason);
    signal.addEventListener("abort", () => {
      socket.onmessage = socket.onclose = null;
      socket.close(1000);
    });
  }

  async #poll(url, token, signal) {
    const query = url.searchParams;
    const endsAt = Date.now() + this.#polling;
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    for (;;) {
      const isLive = query.has("live");
      const askedAt = Date.now();
      const before = this.cursor;
      query.set("offset", before ?? "now");
      this.#watch(isLive ? POLL_MS : WELCOME_MS);
      let response, text, gap;
      let messages = [];
      try {
        response = await fetch(url, { headers, signal });
        text = await response.text();
        if (response.status === 200) messages = parse(text).map(checked);
        if (response.status === 410) gap = gapOf(parse(text));
      } catch {
        if (!signal.aborted) this.#ended(1006, "an answer could not be had");
        return;
      }
      if (signal.aborted) return;
      const get = (name) => response.headers.get(name);
      const next = get("Stream-Next-Offset");
      if (next === null || ![200, 204, 410].includes(response.status)) {
        this.#ended(FINAL_STATUSES[response.status] ?? 1006, text.trim(), get("Retry-After"));
        return;
      }
      if (!this.#isWelcomed) this.#welcomed();
      if (signal.aborted) return;
      for (const message of messages) {
        this.#receive(message, signal);
        if (signal.aborted) return;
      }
      this.#take({ item: gap && { gap, cursor: next }, cursor: next });
      if (signal.aborted) return;
      if (this.#transport && Date.now() - endsAt > 0) {
        this.#polling = Math.min(2 * this.#polling, LONGEST_POLLING_MS);
        this.connect();
        return;
      }
      query.delete("live");
      query.delete("cursor");
      const isUpToDate = get("Stream-Up-To-Date") === "true";
      if (isUpToDate) {
        query.set("live", "long-poll");
        const echo = get("Stream-Cursor");
        if (echo !== null) query.set("cursor", echo);
      }
      // Something in between that does not wait must not make us ask without end.
      if (!messages.length && (isLive || (next === before && !isUpToDate)))
        await new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() - askedAt)));
      if (signal.aborted) return;
    }
  }

  #receive({ action, id, payload, cursor, window }, signal) {
    this.#heardAt = Date.now();
    if (action === "welcome") {
      const item = payload.recovered ? undefined : { gap: gapOf(payload), cursor: payload.cursor };
      this.#polling = POLLING_MS;
      this.#welcomed(payload.session);
      if (signal.aborted) return;
      this.#watch(2500 * (payload.heartbeat ?? 0));
      this.#take({ item, cursor: payload.cursor });
    } else if (action === "created") {
      this.#take({ item: { post: payload, cursor, window }, cursor });
    } else if (typeof cursor === "string") {
      // Whatever it is that we do not know: with a cursor it says where we stand.
      this.#take({ cursor });
    } else if (action === "expiring") {
      this.#renew(this.#socket);
    } else if (action === "error") {
      this.#failed(id, payload?.code);
    }
  }

  #failed(id, code) {
    if (code !== "busy") {
      this.#errors += 1;
      return;
    }
    const [action, asked] = Object.entries(this.#asked).find(([, each]) => each.id === id) ?? [];
    if (asked) this.#again(this.#socket, () => asked.id === this.#asked[action].id && this.#request(action, asked.payload));
  }

  /** Do it a little later, on the same connection. */
  #again(socket, act) {
    setTimeout(() => socket === this.#socket && act(), drawn(AGAIN_MS));
  }

  async #renew(socket) {
    // Only a function can have another one.
    if (typeof this.#options.token !== "function") return;
    try {
      const token = await this.#token();
      if (!token || socket !== this.#socket) return;
      // Who keeps tokens until they are old has the same one for a while.
      if (token === this.#shown) this.#again(socket, () => this.#renew(socket));
      else this.#request("token", { token: (this.#shown = token) });
    } catch (error) {
      this.#sink.fail(error);
      this.#again(socket, () => this.#renew(socket));
    }
  }

  #request(action, payload) {
    const id = (this.#requests += 1);
    this.#asked[action] = { id, payload };
    this.#socket?.send(JSON.stringify({ action, id, payload }));
    return this.#socket;
  }

  #welcomed(session) {
    this.#isWelcomed = true;
    this.#failures = this.#refused = 0;
    if (this.#state.state !== "live") this.#enter({ state: "live", session });
  }

  #take(entry) {
    this.cursor = entry.cursor;
    this.#sink.take(entry);
  }

  /** Doubt the connection when nothing is heard for so many milliseconds; 0: never. */
  #watch(patience) {
    clearTimeout(this.#timer);
    this.#patience = patience;
    this.#heardAt = Date.now();
    const look = () => {
      const left = patience - Math.abs(Date.now() - this.#heardAt);
      if (left > 0) this.#timer = setTimeout(look, left);
      else this.#ended(1006, "nothing was heard");
    };
    if (patience) this.#timer = setTimeout(look, patience);
  }

  /** Which transport to try behind one; -1: none. A device without a cursor does not poll, behind what it has missed. */
  #after(last) {
    const { transports, device } = this.#options;
    const isStored = device !== undefined && this.cursor === null;
    return transports.findIndex((each, index) => index > last && !(isStored && each === "long-polling"));
  }

  /** What an attempt or a connection ended with says what is next. */
  #ended(code, reason, retryAfter) {
    const { token } = this.#options;
    const wasWelcomed = this.#isWelcomed;
    this.leave();
    const isRefused = code === 4501 && typeof token === "function";
    if (isRefused ? (this.#refused += 1) > MOST_REFUSED : isFinal(code)) {
      this.#enter({ state: "closed", code, reason });
      return;
    }
    const asked = parseFloat(retryAfter ?? /\bretry_after=([\d.]+)$/.exec(reason)?.[1]);
    const isAsked = asked >= 0;
    const next = this.#after(this.#transport);
    if (code === 1006 && !wasWelcomed && !isAsked && next > 0) {
      this.connect(next);
      return;
    }
    const ours = drawn(Math.min(LONGEST_SECONDS, 2 ** this.#failures));
    const theirs = Math.min(asked, LONGEST_ASKED_SECONDS);
    const ms = 1000 * (!isAsked ? ours : this.#failures < MOST_ASKED ? theirs : Math.max(ours, theirs));
    this.#failures += 1;
    this.wait({ state: "waiting", code, reason, isAsked, until: Date.now() + ms });
  }

  #enter(state) {
    this.#state = state;
    this.#sink.enter(state);
  }
}

function gapOf({ reason, lost }) {
  return lost === undefined ? { reason } : { reason, lost };
}

/** What `connect` returns: items in order, by `for await` or as events, and the cursor behind the last that is handled. */
class Feed extends EventTarget {
  #store;
  #device;
  #source = null;
  #details = { state: "connecting" };
  #session = null;
  #cursor = null;
  #saved = null;
  #isSaving = false;
  // What the edge was told on this connection.
  #told = null;
  #saver;
  // Entries that wait, and the one that is being handled.
  #queue = [];
  #inHand = null;
  #isListened = false;
  #isIterated = false;
  #isFull = false;
  #wanted = null;
  #life = new AbortController();

  constructor(url, options = {}) {
    super();
    const { author, device, signal, store, transports } = options;
    // The edge takes an empty one for none.
    if (author !== undefined && [author].flat().join() === "") throw new TypeError("author is empty: leave it out to see all");
    if (device !== undefined && transports?.includes("websocket") === false)
      throw new TypeError("a device counts by websocket alone: list that, too");
    this.#store = store;
    this.#device = device;
    const page = globalThis.document;
    const on = (target, type, listener) => target?.addEventListener?.(type, listener, { signal: this.#life.signal });
    const wake = () => this.#isFull || this.#source?.wake();
    on(globalThis, "online", wake);
    on(globalThis, "pageshow", wake);
    on(page, "visibilitychange", () => page.hidden || wake());
    on(globalThis, "pagehide", () => this.#save());
    on(signal, "abort", () => this.close());
    if (signal?.aborted) this.close();
    else this.#start(new URL(url, page?.baseURI), options);
  }

  /** "connecting", "live", "waiting" or "closed". */
  get state() {
    return this.#details.state;
  }

  /** The name of the newest connection in the edge's log: for support. Null before a welcome, and while it polls. */
  get session() {
    return this.#session;
  }

  /** The position behind the last item that was handled; null before there is one. */
  get cursor() {
    return this.#cursor;
  }

  /** Connect now, without waiting. */
  reconnect() {
    if (this.state !== "closed" && !this.#isFull) this.#source?.connect();
  }

  /** End for good. What waits to be handled is dropped; the cursor is before it. */
  close() {
    if (this.state === "closed") return;
    this.#queue.length = 0;
    this.#enter({ state: "closed" });
  }

  addEventListener(type, ...more) {
    super.addEventListener(type, ...more);
    if (type !== "post" && type !== "gap") return;
    this.#isListened = true;
    // Who adds one listener may add another one in the same breath.
    queueMicrotask(() => this.#tell());
  }

  [Symbol.asyncIterator]() {
    if (this.#isIterated) throw new TypeError("a feed is iterated once");
    this.#isIterated = true;
    return {
      next: async () => {
        this.#handled();
        while (this.#queue.length === 0) {
          const { state, code, reason } = this.#details;
          if (state === "closed") {
            if (code === undefined) return { done: true, value: undefined };
            throw Object.assign(new Error(`the feed was closed with ${code}: ${reason}`), { code, reason });
          }
          await new Promise((resolve) => (this.#wanted = resolve));
        }
        this.#inHand = this.#queue.shift();
        this.#refill();
        return { done: false, value: this.#inHand.item };
      },
      // Whether the item in hand was handled is not known: it comes again rather than never.
      return: async (value) => {
        this.#inHand = null;
        this.close();
        return { done: true, value };
      },
    };
  }

  async #start(url, options) {
    // Whoever called us may listen by then.
    await null;
    const sink = {
      enter: (details) => this.#enter(details),
      take: (entry) => this.#take(entry),
      fail: (error) => this.#emit("error", error),
    };
    let cursor = options.cursor ?? null;
    while (cursor === null && this.#store) {
      try {
        cursor = (await this.#store.get()) ?? null;
        break;
      } catch (error) {
        sink.fail(error);
      }
      // To begin anywhere else would lose posts, and write over the cursor that is there.
      const ms = drawn(AGAIN_MS);
      this.#enter({ state: "waiting", reason: "the store could not be read", until: Date.now() + ms });
      await new Promise((resolve) => setTimeout(resolve, ms));
      if (this.state === "closed") return;
    }
    const make = (from, to) => new Link(url, options, from, to);
    let source;
    if (options.shareTabs && globalThis.navigator?.locks && globalThis.BroadcastChannel) {
      try {
        const { share } = await import("./client-tabs.js");
        source = await share(url, options, cursor, make, sink, parse);
      } catch (error) {
        // A connection of its own is better than none.
        sink.fail(error);
      }
    }
    this.#source = source ?? make(cursor, sink);
    this.#cursor = this.#saved = cursor;
    if (this.state === "closed") this.#source.stop();
    else this.#source.connect();
  }

  #take({ item, cursor }) {
    if (item) this.#queue.push({ item, cursor });
    else {
      const last = this.#queue.at(-1) ?? this.#inHand;
      if (last) last.cursor = cursor;
      else this.#move(cursor);
      return;
    }
    this.#tell();
    if (this.#queue.length < WAITING_ITEMS) return;
    this.#isFull = true;
    this.#source.leave();
    this.#enter({ state: "waiting", reason: "too many items wait to be handled" });
  }

  /** Hand out what waits. */
  #tell() {
    if (this.#isIterated) {
      this.#wanted?.();
      return;
    }
    while (this.#isListened && !this.#inHand && this.#queue.length) {
      const { item } = (this.#inHand = this.#queue.shift());
      this.#emit(item.gap ? "gap" : "post", item);
      this.#handled();
    }
    this.#refill();
  }

  #refill() {
    if (!this.#isFull || this.#queue.length || this.state === "closed") return;
    this.#isFull = false;
    this.#source.connect();
  }

  #handled() {
    const entry = this.#inHand;
    this.#inHand = null;
    if (entry) this.#move(entry.cursor);
  }

  #move(cursor) {
    this.#cursor = cursor;
    this.#saveSoon();
  }

  #saveSoon() {
    if (this.state === "closed") this.#save();
    else if (this.#store || this.#device !== undefined) this.#saver ??= setTimeout(() => this.#save(), SAVE_MS);
  }

  async #save() {
    clearTimeout(this.#saver);
    this.#saver = undefined;
    const cursor = this.#cursor;
    if (this.#device !== undefined && cursor !== this.#told && this.#source.acknowledge(cursor)) this.#told = cursor;
    // One after the other: of two under way the older one might be kept.
    if (this.#isSaving || cursor === this.#saved) return;
    this.#isSaving = true;
    const isLast = this.state === "closed";
    try {
      await this.#store?.set(cursor);
      this.#saved = cursor;
    } catch (error) {
      this.#emit("error", error);
    }
    this.#isSaving = false;
    // What has failed is tried again; but behind the end once, since a store may fail for ever.
    if (this.#cursor !== (isLast ? cursor : this.#saved)) this.#saveSoon();
  }

  #enter(details) {
    if (this.state === "closed") return;
    this.#details = details;
    if (details.state === "live") {
      this.#session = details.session ?? null;
      // What was told on another connection may not have arrived, and what was handled between the two was told on none.
      this.#told = null;
      this.#saveSoon();
    }
    if (details.state === "closed") {
      this.#save();
      this.#life.abort();
      this.#source?.stop();
    }
    this.#emit("state", details);
    this.#wanted?.();
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
