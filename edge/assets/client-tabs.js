// One connection for all tabs of a browser (docs/javascript.md, "Tabs"). client.js loads it when `shareTabs` asks for it.
//
// The tab that holds the lock leads: it has the connection, and passes on what comes. Each entry goes with the cursor
// before it. So a tab takes exactly the entry that follows its own cursor, and notices when it has missed some; then it
// asks, and the leader answers with what it has kept. Where the leader does not have it, or does not answer, the tab
// connects by itself until it stands where the leader does: what is missed or was said to be lost is the edge's to say.

// How many entries each tab keeps for others: any tab may be the next leader.
const KEPT = 500;
const ANSWER_MS = 3000;
// How often a tab looks whether the leader lives, and one with a connection of its own whether it is needed.
const LOOK_MS = 30_000;
const ALONE_MS = 1000;
// As long as a connection of its own would wait for a token.
const TOKEN_MS = 20_000;

/**
 * Share a connection with all tabs that see the same; return the source of a feed, as client.js's Link is one.
 *
 * `parse` parses JSON exactly: two claims that differ only in an integer beyond 2^53 are two.
 */
export async function share(url, options, cursor, make, sink, parse) {
  const { author, device, history = 0, token } = options;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, TOKEN_MS, new Error("the token function does not answer"));
  });
  const subject = await Promise.race([subjectOf(token, parse), late]).finally(() => clearTimeout(timer));
  const authors = author === undefined ? "all" : [author].flat().map(String).sort();
  const seen = ["postcast", url.href, authors, device, history, subject];
  const name = JSON.stringify(seen, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
  return new Tabs(name, history, cursor, make, sink);
}

/** What decides what a token's bearer sees. */
async function subjectOf(token, parse) {
  const given = typeof token === "function" ? await token() : token;
  if (!given) return null;
  try {
    const claims = atob(given.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    const { sub, postcast } = parse(claims);
    return [sub, postcast];
  } catch {
    // A token that only the edge can read.
    return given;
  }
}

/** Tell whether a state comes of the tab's own token: that of another tab may be good. */
function isOfToken({ code, reason }) {
  return code === 4501 || reason === "there is no token";
}

class Tabs {
  #name;
  #history;
  #make;
  #sink;
  #channel;
  #id = crypto.randomUUID();
  // While it takes part: ends its wait for the lock.
  #life = null;
  // The leader's: gives the lock back.
  #release = null;
  // The leader's connection, or that of a tab that has to connect by itself.
  #link = null;
  // One that this tab's own token has ended. It counts its failures, so that its waits grow.
  #spare = null;
  // What the feed was told: this tab's, or what the leader has said.
  #state;
  #isInStep = false;
  #timer;
  #kept = [];
  // Whether what is kept is all that there was, history included.
  #isWhole;

  constructor(name, history, cursor, make, sink) {
    this.#name = name;
    this.#history = history;
    this.#make = make;
    this.#sink = sink;
    this.#isWhole = cursor === null;
    this.cursor = cursor;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
  }

  /** Take part; or connect anew, whoever has the connection. */
  connect() {
    if (this.#link) this.#link.connect();
    else if (this.#life) this.#post({ type: "connect" });
    else this.#join();
  }

  #join() {
    const life = (this.#life = new AbortController());
    this.#state = { state: "connecting" };
    this.#sink.enter(this.#state);
    // Who hears of it may have closed the feed.
    if (life.signal.aborted) return;
    const lead = () =>
      new Promise((release) => {
        if (life.signal.aborted) release();
        else this.#lead(release);
      });
    // Without a lock it is as if the leader did not answer.
    navigator.locks.request(this.#name, { signal: life.signal }, lead).catch(() => {});
    this.#ask();
  }

  /** Take no part: have no connection, and let another tab lead. */
  leave() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#isInStep = false;
    if (this.#release) {
      // A wait that the edge has asked for is obeyed by the next leader.
      if (!this.#state.isAsked) this.#post({ type: "state", state: { state: "connecting" } });
      this.#release();
      this.#release = null;
    }
    this.#life?.abort();
    this.#life = null;
  }

  stop() {
    this.leave();
    this.#spare = null;
    this.#channel.close();
  }

  wake() {
    if (this.#link) this.#link.wake();
    else if (this.#life) {
      this.#post({ type: "wake" });
      this.#ask();
    } else if (this.#spare && !this.#state.isAsked) this.#join();
  }

  acknowledge(cursor) {
    return this.#link?.acknowledge(cursor);
  }

  #lead(release) {
    this.#release = release;
    clearTimeout(this.#timer);
    if (!this.#link) this.#connect();
    else if (isOfToken(this.#state)) this.#standBack(this.#state);
    else this.#post({ type: "state", state: this.#state });
  }

  /** Let another tab lead, by a token of its own, and take part again when this one would try the next time, if ever. */
  #standBack(state) {
    const link = this.#link;
    this.leave();
    this.#spare = link;
    if (state.state === "waiting") this.#timer = setTimeout(() => this.#join(), state.until - Date.now());
    this.#show(state);
  }

  #connect() {
    this.#link = this.#spare ?? this.#make(null, {
      enter: (state) => {
        if (this.#release && isOfToken(state)) {
          this.#standBack(state);
          return;
        }
        if (this.#release) this.#post({ type: "state", state });
        this.#show(state);
      },
      take: (entry) => this.#take(entry),
      fail: (error) => this.#sink.fail(error),
    });
    this.#link.cursor = this.cursor;
    this.#spare = null;
    if (this.#state.isAsked) this.#link.wait(this.#state);
    else this.#link.connect();
  }

  /** Tell the feed of a state, unless it is the one that it was told last: the leader says its own with each answer. */
  #show(state) {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    if (state.state === "live") this.#spare = null;
    this.#sink.enter(state);
  }

  #drop() {
    this.#link?.stop();
    this.#link = null;
  }

  #ask() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#alone(), ANSWER_MS);
    this.#post({ type: "ask", from: this.#id, cursor: this.cursor });
  }

  #alone() {
    this.#isInStep = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), ALONE_MS);
    if (!this.#link) this.#connect();
  }

  #hear({ type, ...message }) {
    if (!this.#life) return;
    if (this.#release) {
      if (type === "ask") this.#answer(message);
      else if (type === "wake") this.#link.wake();
      else if (type === "connect") this.#link.connect();
    } else if (type === "answer") {
      if (message.to === this.#id) this.#catchUp(message);
    } else if (!this.#link) {
      if (type === "entry") this.#follow(message);
      else if (type === "state") this.#mirror(message.state);
    }
  }

  #answer({ from, cursor }) {
    const entries = this.#after(cursor);
    const start = entries?.length ? entries[0].before : this.cursor;
    this.#post({ type: "answer", to: from, entries, start, isWhole: this.#isWhole, state: this.#state });
  }

  /** What came after a cursor, null being a beginning with history; undefined where it is not known. */
  #after(cursor) {
    const kept = this.#kept;
    let first = kept.length;
    if (cursor === this.cursor) return [];
    if (cursor !== null) {
      first = kept.findIndex(({ before }) => before === cursor);
      return first < 0 ? undefined : kept.slice(first);
    }
    let left = this.#history;
    while (left && first) if (kept[(first -= 1)].item) left -= 1;
    return left && !this.#isWhole ? undefined : kept.slice(first);
  }

  #catchUp({ entries, start, isWhole, state }) {
    if (!entries) {
      this.#alone();
      return;
    }
    if (this.cursor === null && start !== null) {
      this.#isWhole = isWhole;
      this.#take({ cursor: start });
    }
    // It may have come on meanwhile.
    for (const entry of entries) if (entry.before === this.cursor && this.#life) this.#take(entry);
    if (!this.#life) return;
    // Before its welcome the leader has no place either. It says when it has.
    this.#isInStep = this.cursor !== null;
    this.#drop();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), LOOK_MS);
    if (this.#isInStep || state.state !== "live") this.#show(state);
  }

  #follow(entry) {
    if (!this.#isInStep) return;
    if (entry.before === this.cursor) {
      this.#take(entry);
      return;
    }
    this.#isInStep = false;
    this.#ask();
  }

  #mirror(state) {
    if (this.#isInStep || state.state !== "live") this.#show(state);
    else this.#ask();
  }

  #take({ item, cursor }) {
    const before = this.cursor;
    if (!item && cursor === before) return;
    this.cursor = cursor;
    if (item?.gap) {
      this.#kept = [];
      this.#isWhole = false;
    }
    const entry = { before, item, cursor };
    if (this.#kept.push(entry) > KEPT) {
      this.#kept.shift();
      this.#isWhole = false;
    }
    if (this.#release) this.#post({ type: "entry", ...entry });
    this.#sink.take({ item, cursor });
  }

  #post(message) {
    this.#channel.postMessage(message);
  }
}
