// The rules of docs/javascript.md, each as a test: node --test client.test.mjs
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { connect, localStore, parse } from "../../../edge/assets/client.js";
import { World, created, listen, welcome } from "./world.mjs";

const URL_ = "https://edge.example/";
let world;

beforeEach(() => {
  world = new World();
});

/** Connect, and be welcomed. */
async function live(options, more) {
  const feed = connect(URL_, options);
  const said = listen(feed);
  await world.settled();
  world.socket.say(welcome("c0", more));
  await world.settled();
  return { feed, said };
}

function query(socket = world.socket) {
  return Object.fromEntries(new URL(socket.url).searchParams);
}

/** How long it waits now, in seconds; null when it does not. */
function wait(said) {
  const { state, until } = said.of("state").at(-1);
  return state === "waiting" ? (until - Date.now()) / 1000 : null;
}

// --- What it asks for ---

test("it offers postcast.v1, and says what it wants in the URL", async () => {
  connect("http://edge.example/?x=1#y", { history: 20, author: [7, 9n, "11"], device: "phone" });
  await world.settled();
  assert.equal(world.socket.url, "ws://edge.example/?x=1&author=7%2C9%2C11&device=phone&history=20");
  assert.deepEqual(world.socket.protocols, ["postcast.v1"]);
});

test("a cursor goes before a history, and a URL may be relative to the page", async () => {
  connect("feed/", { history: 20, cursor: "c9" });
  await world.settled();
  assert.equal(world.socket.url, "wss://page.example/feed/?cursor=c9");
});

test("without a cursor or a history it asks for none, in the form that has cursors", async () => {
  connect(URL_);
  await world.settled();
  assert.deepEqual(query(), { history: "0" });
});

test("a filter that nobody passes is refused: the edge would take it for none", () => {
  assert.throws(() => connect(URL_, { author: [] }), TypeError);
  assert.throws(() => connect(URL_, { author: "" }), TypeError);
});

// --- Items and the cursor ---

test("posts are handed out in order, once, and it resumes behind the last", async () => {
  const { feed, said } = await live();
  world.socket.say(created(1), created(2));
  world.socket.end(1001);
  await world.pass(1);
  assert.deepEqual(query(), { cursor: "c2" });
  world.socket.say(welcome("c2"), created(3));
  assert.deepEqual(said.ids, [1, 2, 3]);
  assert.deepEqual(said.of("post")[0], { post: { id: 1 }, cursor: "c1", window: 5000 });
  assert.equal(feed.cursor, "c3");
});

test("the cursor moves after the handler", async () => {
  const { feed } = await live();
  const seen = [];
  feed.addEventListener("post", () => seen.push(feed.cursor));
  world.socket.say(created(1), created(2));
  assert.deepEqual([...seen, feed.cursor], ["c0", "c1", "c2"]);
});

test("for who iterates, the cursor moves when the next item is asked for", async () => {
  const feed = connect(URL_);
  const items = feed[Symbol.asyncIterator]();
  await world.settled();
  world.socket.say(welcome("c0"), created(1), created(2));
  assert.equal(feed.cursor, "c0");
  assert.equal((await items.next()).value.post.id, 1);
  assert.equal(feed.cursor, "c0");
  assert.equal((await items.next()).value.post.id, 2);
  assert.equal(feed.cursor, "c1");
  world.socket.say({ action: "heartbeat", payload: {}, cursor: "c5" });
  assert.equal(feed.cursor, "c1");
  const next = items.next();
  await world.settled();
  assert.equal(feed.cursor, "c5");
  world.socket.say(created(6));
  assert.equal((await next).value.post.id, 6);
});

test("a gap is an item in its place", async () => {
  const feed = connect(URL_, { cursor: "c0" });
  const items = feed[Symbol.asyncIterator]();
  await world.settled();
  world.socket.say(welcome("c5", { recovered: false, reason: "expired", lost: { records: 4 } }), created(6));
  world.socket.say(welcome("c8", { recovered: false, reason: "interrupted" }), created(9));
  const got = [];
  for (let count = 0; count < 4; count += 1) got.push((await items.next()).value);
  assert.deepEqual(got, [
    { gap: { reason: "expired", lost: { records: 4 } }, cursor: "c5" },
    { post: { id: 6 }, cursor: "c6", window: 5000 },
    { gap: { reason: "interrupted" }, cursor: "c8" },
    { post: { id: 9 }, cursor: "c9", window: 5000 },
  ]);
  assert.equal(feed.cursor, "c8");
});

test("a gap that nobody has handled yet is said again to the next one", async () => {
  const feed = connect(URL_, { cursor: "c0" });
  await world.settled();
  world.socket.say(welcome("c5", { recovered: false, reason: "expired" }), created(6));
  assert.equal(feed.cursor, "c0");
});

test("what comes before somebody listens is kept for him", async () => {
  const feed = connect(URL_);
  await world.settled();
  world.socket.say(welcome("c0"), created(1));
  assert.equal(feed.cursor, "c0");
  const said = listen(feed);
  await world.settled();
  assert.deepEqual(said.ids, [1]);
  assert.equal(feed.cursor, "c1");
});

test("what it does not know is ignored, and moves the cursor only with one", async () => {
  const { feed, said } = await live();
  for (const message of [{ action: "later" }, { action: "acked", payload: { position: "c9" } }, { action: "x", cursor: null }])
    world.socket.say(message);
  assert.equal(feed.cursor, "c0");
  world.socket.say({ action: "caught_up", cursor: "c4" });
  assert.equal(feed.cursor, "c4");
  assert.deepEqual(said.ids, []);
});

test("a message that cannot be read ends the connection before anything moves past it", async () => {
  const { feed, said } = await live();
  const socket = world.socket;
  socket.say(created(1), "{", created(3));
  assert.equal(feed.cursor, "c1");
  assert.equal(socket.closedWith, 1000);
  await world.pass(1);
  assert.deepEqual(query(), { cursor: "c1" });
  assert.deepEqual(said.ids, [1]);
});

for (const message of ["null", "7", "[]", "{}", '{"action":"welcome"}', '{"action":"created","payload":{"id":2}}'])
  test(`a message of another form ends the connection before anything moves past it: ${message}`, async () => {
    const { feed, said } = await live();
    world.socket.say(created(1), message, created(3));
    assert.deepEqual([feed.state, feed.cursor], ["waiting", "c1"]);
    await world.pass(1);
    assert.deepEqual([query(), said.ids], [{ cursor: "c1" }, [1]]);
  });

test("who iterates and falls behind has a bounded number of items waiting, and misses none", async () => {
  const feed = connect(URL_);
  const items = feed[Symbol.asyncIterator]();
  await world.settled();
  world.socket.say(welcome("c0"));
  for (let id = 1; id <= 1100; id += 1) world.socket.say(created(id));
  assert.equal(world.socket.closedWith, 1000);
  assert.equal(feed.state, "waiting");
  // Behind the silence after which a connection that lives is doubted.
  await world.pass(61);
  world.hear("online");
  feed.reconnect();
  await world.settled();
  assert.equal(world.sockets.length, 1);
  for (let id = 1; id <= 1000; id += 1) assert.equal((await items.next()).value.post.id, id);
  await world.settled();
  assert.deepEqual(query(), { cursor: "c1000" });
  world.socket.say(welcome("c1000"), created(1001));
  assert.equal((await items.next()).value.post.id, 1001);
});

// --- The end ---

test("close() ends the iteration and the connection; what waits is before the cursor", async () => {
  const feed = connect(URL_);
  const items = feed[Symbol.asyncIterator]();
  await world.settled();
  world.socket.say(welcome("c0"), created(1), created(2));
  await items.next();
  feed.close();
  assert.equal(world.socket.closedWith, 1000);
  assert.equal((await items.next()).done, true);
  assert.deepEqual([feed.state, feed.cursor], ["closed", "c1"]);
  feed.reconnect();
  world.hear("online");
  await world.pass(100);
  assert.equal(world.sockets.length, 1);
});

test("leaving the loop closes the feed; the item in hand counts as not handled", async () => {
  const feed = connect(URL_);
  await world.settled();
  world.socket.say(welcome("c0"), created(1), created(2));
  for await (const { post } of feed) if (post.id === 2) break;
  assert.deepEqual([feed.state, feed.cursor], ["closed", "c1"]);
});

test("a signal closes it, before or after", async () => {
  const controller = new AbortController();
  const { feed } = await live({ signal: controller.signal });
  controller.abort();
  assert.equal(feed.state, "closed");
  assert.equal(world.socket.closedWith, 1000);
  const other = connect(URL_, { signal: controller.signal });
  await world.settled();
  assert.equal(other.state, "closed");
  assert.equal(world.sockets.length, 1);
});

for (const state of ["connecting", "live", "waiting"])
  test(`closed in a listener of "${state}" it stays closed`, async () => {
    const feed = connect(URL_, { token: () => "t", transports: ["websocket"] });
    feed.addEventListener("state", ({ detail }) => detail.state === state && feed.close());
    await world.settled();
    world.socket?.say(welcome("c0", { heartbeat: 25 }), created(1));
    if (state === "waiting") world.socket.end(1006);
    for (const seconds of [25, 75, 75, 3600]) await world.pass(seconds);
    assert.deepEqual([feed.state, world.sockets.length], ["closed", state === "connecting" ? 0 : 1]);
    assert.equal(feed.cursor, state === "waiting" ? "c0" : null);
  });

test("closed in a listener of an error it stays closed", async () => {
  let asked = 0;
  const token = () => {
    asked += 1;
    throw new Error("no");
  };
  const feed = connect(URL_, { token });
  feed.addEventListener("error", () => feed.close());
  await world.settled();
  for (const seconds of [2, 2, 3600]) await world.pass(seconds);
  assert.deepEqual([feed.state, asked], ["closed", 1]);
});

test("aborted at live while it polls, it hands out nothing of the page", async () => {
  const controller = new AbortController();
  const feed = connect(URL_, { transports: ["long-polling"], signal: controller.signal });
  feed.addEventListener("state", ({ detail }) => detail.state === "live" && controller.abort());
  const said = listen(feed);
  await world.settled();
  world.request.answer(200, { "Stream-Next-Offset": "c2", "Stream-Up-To-Date": "true" }, [created(1), created(2)]);
  await world.settled();
  assert.deepEqual([said.ids, feed.cursor, feed.state], [[], null, "closed"]);
});

test("a connection that is begun in a listener of live has 20 s for its own welcome", async () => {
  const feed = connect(URL_, { transports: ["websocket"] });
  feed.addEventListener("state", ({ detail }) => detail.state === "live" && world.sockets.length === 1 && feed.reconnect());
  await world.settled();
  world.socket.say(welcome("c0", { heartbeat: 25 }));
  await world.settled();
  assert.equal(world.sockets.length, 2);
  await world.pass(20.1);
  assert.equal(feed.state, "waiting");
});

test("close() while the token is asked for connects nobody", async () => {
  const feed = connect(URL_, { token: async () => "t" });
  feed.close();
  await world.settled();
  assert.equal(world.sockets.length, 0);
});

for (const code of [1002, 1008, 1009, 4500, 4501, 4503, 4999])
  test(`after ${code} it does not come back, and iterating says why`, async () => {
    const { feed, said } = await live();
    world.socket.say(created(1));
    world.socket.end(code, "because");
    assert.deepEqual(said.of("state").at(-1), { state: "closed", code, reason: "because" });
    world.hear("online");
    feed.reconnect();
    await world.pass(100);
    assert.equal(world.sockets.length, 1);
    await assert.rejects(feed[Symbol.asyncIterator]().next(), { code, reason: "because" });
  });

test("what came before the end is handed out before it is said", async () => {
  const feed = connect(URL_);
  const items = feed[Symbol.asyncIterator]();
  await world.settled();
  world.socket.say(welcome("c0"), created(1));
  world.socket.end(4503);
  assert.equal((await items.next()).value.post.id, 1);
  await assert.rejects(items.next());
  assert.equal(feed.cursor, "c1");
});

// --- Coming back ---

for (const code of [1000, 1001, 1005, 1006, 1007, 1011, 1012, 4000, 4001, 4008, 4029, 4499])
  test(`after ${code} it comes back`, async () => {
    await live();
    world.socket.end(code);
    await world.pass(1);
    assert.equal(world.sockets.length, 2);
  });

for (const chance of [0, 0.5, 0.999])
  test(`it waits between half and the whole of a limit from 1 to 60 s, anew after a welcome (${chance})`, async () => {
    world.chance = chance;
    const { said } = await live({ transports: ["websocket"] });
    for (const limit of [1, 2, 4, 8, 16, 32, 60, 60]) {
      world.socket.end(1006);
      assert.ok(Math.abs(wait(said) - limit * (0.5 + 0.5 * chance)) < 0.002, `${wait(said)} of ${limit}`);
      await world.pass(wait(said) - 0.01);
      assert.equal(world.socket.isOpen, false);
      await world.pass(0.02);
      assert.equal(world.socket.isOpen, true);
    }
    world.socket.say(welcome("c0"));
    world.socket.end(1001);
    assert.ok(wait(said) <= 1);
  });

test("the edge's retry_after wins, and an event of the browser does not cut it short", async () => {
  const { feed, said } = await live();
  world.socket.end(4001, "the edge is full; retry_after=3.7");
  assert.equal(wait(said), 3.7);
  world.hear("online");
  await world.pass(3.6);
  assert.equal(world.sockets.length, 1);
  await world.pass(0.2);
  assert.equal(world.sockets.length, 2);
  world.socket.end(4001, "retry_after=99999999999");
  assert.equal(wait(said), 86_400);
  feed.reconnect();
  await world.settled();
  assert.equal(world.sockets.length, 3);
});

test("an edge that sends it away again and again is given time, whatever it asks for", async () => {
  const { said } = await live();
  const waits = [];
  for (let count = 0; count < 9; count += 1) {
    world.socket.end(4001, "retry_after=0.1");
    waits.push(wait(said));
    await world.pass(wait(said) + 0.01);
  }
  assert.deepEqual(waits, [0.1, 0.1, 0.1, 0.1, 0.1, 24, 45, 45, 45]);
  world.socket.end(4001, "retry_after=100");
  assert.equal(wait(said), 100);
});

for (const event of ["online", "pageshow", "visibilitychange"])
  test(`it comes back at once at ${event}, and looks whether the connection lives`, async () => {
    await live({}, { heartbeat: 25 });
    world.socket.end(1001);
    world.hear(event);
    await world.settled();
    assert.equal(world.sockets.length, 2);
    world.socket.say(welcome("c0"));
    world.hear(event);
    await world.settled();
    assert.equal(world.sockets.length, 2);
  });

test("a hidden page does not come back for a change of what is visible", async () => {
  await live();
  world.socket.end(1001);
  world.browser.hidden = true;
  world.hear("visibilitychange");
  await world.settled();
  assert.equal(world.sockets.length, 1);
});

test("after a sleep a connection without heartbeats is doubted too", async () => {
  await live();
  await world.pass(59);
  world.hear("pageshow");
  await world.settled();
  assert.equal(world.sockets.length, 1);
  await world.pass(2);
  world.hear("pageshow");
  await world.settled();
  assert.equal(world.sockets.length, 2);
});

test("a clock that was set back meanwhile is a reason to doubt it, too", async () => {
  await live();
  const now = Date.now;
  Date.now = () => now() - 3_600_000;
  world.hear("online");
  await world.settled();
  Date.now = now;
  assert.equal(world.sockets.length, 2);
});

test("silence of 2.5 heartbeats ends a connection; each message is a sign of life", async () => {
  const { said } = await live({}, { heartbeat: 10 });
  await world.pass(20);
  world.socket.say({ action: "heartbeat", payload: {}, cursor: "c0" });
  await world.pass(24.9);
  assert.equal(said.states.at(-1), "live");
  const socket = world.socket;
  await world.pass(0.2);
  assert.equal(said.states.at(-1), "waiting");
  assert.equal(socket.closedWith, 1000);
  socket.say(created(9));
  socket.end(4500);
  assert.deepEqual([said.ids, said.states.at(-1)], [[], "waiting"]);
});

test("an edge that does not welcome us in 20 s has failed", async () => {
  const feed = connect(URL_, { transports: ["websocket"] });
  await world.settled();
  await world.pass(19.9);
  assert.equal(feed.state, "connecting");
  await world.pass(0.2);
  assert.equal(feed.state, "waiting");
});

test("a clock that is set neither kills nor keeps a connection for long", async () => {
  await live({}, { heartbeat: 10 });
  const now = Date.now;
  Date.now = () => now() - 3_600_000;
  await world.pass(26);
  assert.equal(world.socket.isOpen, false);
  Date.now = now;
});

test("the session's name is the newest welcome's, and stays when it is over", async () => {
  const { feed, said } = await live({}, { session: "s1" });
  assert.deepEqual([feed.session, said.of("state").at(-1)], ["s1", { state: "live", session: "s1" }]);
  world.socket.end(1001);
  assert.equal(feed.session, "s1");
  await world.pass(1);
  world.socket.say(welcome("c0", { session: "s2" }));
  assert.equal(feed.session, "s2");
  world.socket.end(1001);
  await world.pass(1);
  world.socket.end(1006);
  await world.settled();
  world.request.answer(200, { "Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true" }, []);
  await world.settled();
  assert.deepEqual([feed.state, feed.session], ["live", null]);
});

// --- Tokens ---

test("a token is asked for at each connect, and goes by the subprotocol", async () => {
  let count = 0;
  await live({ token: async () => `t${(count += 1)}` });
  assert.deepEqual(world.socket.protocols, ["postcast.v1", "postcast.token.t1"]);
  world.socket.end(1001);
  await world.pass(1);
  assert.deepEqual(world.socket.protocols, ["postcast.v1", "postcast.token.t2"]);
});

test("at expiring it is asked for again, and sent", async () => {
  let count = 0;
  await live({ token: () => `t${(count += 1)}` });
  world.socket.say({ action: "expiring", payload: {} }, { action: "expiring", payload: {} });
  await world.settled();
  assert.deepEqual(world.socket.sent, [
    { action: "token", id: 1, payload: { token: "t2" } },
    { action: "token", id: 2, payload: { token: "t3" } },
  ]);
});

test("a token that comes when its connection has ended is not sent on another one", async () => {
  let arrive;
  let isFirst = true;
  const token = () => (isFirst ? "t1" : new Promise((resolve) => (arrive = resolve)));
  await live({ token });
  isFirst = false;
  world.socket.say({ action: "expiring", payload: {} });
  const late = arrive;
  isFirst = true;
  world.socket.end(1001);
  await world.pass(1);
  world.socket.say(welcome("c0"));
  late("t2");
  await world.settled();
  assert.deepEqual(world.sockets.flatMap(({ sent }) => sent), []);
});

test("a token that is a string cannot be renewed", async () => {
  await live({ token: "t" });
  world.socket.say({ action: "expiring", payload: {} });
  await world.settled();
  assert.deepEqual(world.socket.sent, []);
});

test("a refused token is asked for anew, five times in a row; then 4501 is final", async () => {
  let count = 0;
  const { feed, said } = await live({ token: () => `t${(count += 1)}` });
  // A welcome begins the count anew: the token ran out.
  world.socket.end(4501, "it has run out");
  for (let refused = 1; refused <= 5; refused += 1) {
    assert.equal(feed.state, "waiting");
    await world.pass(32);
    assert.deepEqual(world.socket.protocols, ["postcast.v1", `postcast.token.t${refused + 1}`]);
    world.socket.end(4501, "refused");
  }
  assert.deepEqual(said.of("state").at(-1), { state: "closed", code: 4501, reason: "refused" });
});

test("4501 is final where no function can return another token", async () => {
  for (const options of [{}, { token: "t" }]) {
    const { said } = await live(options);
    world.socket.end(4501, "refused");
    assert.deepEqual(said.of("state").at(-1), { state: "closed", code: 4501, reason: "refused" });
  }
});

test("a token that is refused while it polls is asked for anew, too", async () => {
  let count = 0;
  const feed = connect(URL_, { transports: ["long-polling"], token: () => `t${(count += 1)}` });
  await world.settled();
  world.request.answer(401, {}, "no\n");
  await world.settled();
  assert.equal(feed.state, "waiting");
  await world.pass(1);
  assert.equal(world.request.headers.Authorization, "Bearer t2");
});

test("at expiring a token that cannot be had is asked for again, on the same connection", async () => {
  const answers = ["t1", new Error("offline"), "t2", new Error("offline")];
  const { said } = await live({
    token: async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  const { socket } = world;
  socket.say({ action: "expiring", payload: {} });
  await world.settled();
  assert.deepEqual([said.of("error").map(({ message }) => message), socket.sent], [["offline"], []]);
  await world.pass(6);
  assert.deepEqual(socket.sent, [{ action: "token", id: 1, payload: { token: "t2" } }]);
  socket.say({ action: "expiring", payload: {} });
  await world.settled();
  socket.end(1001);
  await world.pass(60);
  assert.deepEqual(world.sockets.flatMap(({ sent }) => sent), socket.sent);
});

test("at expiring the same token again is not sent: another one is asked for a little later", async () => {
  const tokens = ["t1", "t1", "t1", "t2", "t2"];
  await live({ token: () => tokens.shift() });
  world.socket.say({ action: "expiring", payload: {} });
  await world.settled();
  await world.pass(6);
  assert.deepEqual([world.socket.sent, tokens], [[], ["t2", "t2"]]);
  await world.pass(6);
  await world.pass(60);
  assert.deepEqual([world.socket.sent, tokens], [[{ action: "token", id: 1, payload: { token: "t2" } }], ["t2"]]);
});

test("what the edge was too busy for is asked for again, unless something newer was", async () => {
  await live({ device: "phone" });
  const { socket } = world;
  const busy = (id) => socket.say({ action: "error", id, payload: { code: "busy", message: "later" } });
  socket.say(created(1));
  await world.pass(1);
  for (let id = 1; id <= 8; id += 1) {
    busy(id);
    await world.pass(6);
  }
  assert.deepEqual(socket.sent.at(-1), { action: "ack", id: 9, payload: { cursor: "c1" } });
  busy(9);
  socket.say(created(2));
  await world.pass(1);
  socket.say({ action: "acked", id: 10, payload: { position: "c2" } });
  await world.pass(60);
  assert.deepEqual(socket.sent.at(-1), { action: "ack", id: 10, payload: { cursor: "c2" } });
});

test("a token function that fails is said, and asked again after a wait", async () => {
  let fails = true;
  const feed = connect(URL_, {
    token: async () => {
      if (fails) throw new Error("no");
      return "t";
    },
  });
  const said = listen(feed);
  await world.settled();
  assert.deepEqual([said.of("error")[0].message, feed.state, world.requests.length], ["no", "waiting", 0]);
  fails = false;
  await world.pass(1);
  assert.equal(world.sockets.length, 1);
});

for (const transport of ["websocket", "long-polling"])
  test(`a token that cannot be sent closes the feed, and is in no reason: ${transport}`, async () => {
    for (const token of ["a b", "secret\u20ac", "secret\n"]) {
      const said = listen(connect(URL_, { token: async () => token, transports: [transport] }));
      await world.settled();
      const reason = "the token has characters that cannot be sent";
      assert.deepEqual(said.of("state").at(-1), { state: "closed", code: 4500, reason });
      assert.deepEqual([world.sockets.length, world.requests.length], [0, 0]);
    }
  });

test("what the platform says of a token that it refuses is not told on: the token is in it", async () => {
  globalThis.WebSocket = class {
    constructor(_, protocols) {
      throw new SyntaxError(`the subprotocol '${protocols[1]}' is invalid`);
    }
  };
  const said = listen(connect(URL_, { token: "secret/" }));
  await world.settled();
  const { state, code, reason } = said.of("state").at(-1);
  assert.deepEqual([state, code, reason.includes("secret")], ["closed", 4500, false]);
});

// --- Where the cursor is kept ---

test("a store is asked first, and told at most once a second, at pagehide, and at the end", async () => {
  const kept = [];
  const { feed } = await live({ store: { get: async () => "c0", set: (cursor) => kept.push(cursor) } });
  assert.deepEqual(query(), { cursor: "c0" });
  world.socket.say(created(1), created(2));
  assert.deepEqual(kept, []);
  await world.pass(1);
  assert.deepEqual(kept, ["c2"]);
  await world.pass(10);
  world.socket.say(created(3));
  world.hear("pagehide");
  world.hear("pagehide");
  world.socket.say(created(4));
  feed.close();
  await world.pass(10);
  assert.deepEqual(kept, ["c2", "c3", "c4"]);
});

test("a store that cannot keep a cursor stops nothing, and is told of", async () => {
  const set = () => {
    throw new Error("full");
  };
  const { feed, said } = await live({ store: { get: () => null, set } });
  world.socket.say(created(1));
  await world.pass(1);
  assert.deepEqual(said.of("error").map(({ message }) => message), ["full"]);
  assert.equal(feed.cursor, "c1");
});

/** A store of which each `set` is settled by the test: what was set, what is kept, and how many are under way. */
function slowStore() {
  const store = { asked: [], kept: null, pending: [], most: 0, get: () => null };
  store.set = (cursor) => {
    store.asked.push(cursor);
    return new Promise((resolve, reject) => {
      const settle = (act) => () => {
        store.pending.shift();
        act();
      };
      const keep = () => {
        store.kept = cursor;
        resolve();
      };
      store.pending.push({ keep: settle(keep), fail: settle(() => reject(new Error("away"))) });
      store.most = Math.max(store.most, store.pending.length);
    });
  };
  return store;
}

test("a slow store is told one cursor after the other, and has the last one in the end", async () => {
  const store = slowStore();
  const { feed } = await live({ store });
  world.socket.say(created(1));
  await world.pass(1);
  world.socket.say(created(2));
  await world.pass(10);
  assert.deepEqual(store.asked, ["c1"]);
  store.pending[0].keep();
  await world.settled();
  assert.deepEqual(store.asked, ["c1"]);
  await world.pass(1);
  assert.deepEqual(store.asked, ["c1", "c2"]);
  world.socket.say(created(3));
  world.hear("pagehide");
  feed.close();
  assert.deepEqual(store.asked, ["c1", "c2"]);
  store.pending[0].keep();
  await world.settled();
  assert.deepEqual(store.asked, ["c1", "c2", "c3"]);
  store.pending[0].keep();
  await world.pass(60);
  assert.deepEqual([store.kept, store.asked.length, store.most], ["c3", 3, 1]);
});

test("a cursor that could not be kept is kept a second later, or at the end", async () => {
  const store = slowStore();
  const { feed, said } = await live({ store });
  world.socket.say(created(1));
  await world.pass(1);
  store.pending[0].fail();
  await world.settled();
  assert.deepEqual(store.asked, ["c1"]);
  await world.pass(1);
  assert.deepEqual(store.asked, ["c1", "c1"]);
  // The end comes while one is under way that fails: one more is tried at once, and then none.
  feed.close();
  store.pending[0].fail();
  await world.settled();
  assert.deepEqual(store.asked, ["c1", "c1", "c1"]);
  store.pending[0].fail();
  await world.pass(60);
  assert.deepEqual([store.asked.length, said.of("error").length, store.pending.length], [3, 3, 0]);
});

test("who goes on with what waits after a final code has one cursor under way at a time", async () => {
  const store = slowStore();
  const feed = connect(URL_, { store });
  const items = feed[Symbol.asyncIterator]();
  await world.settled();
  world.socket.say(welcome("c0"));
  for (let id = 1; id <= 300; id += 1) world.socket.say(created(id));
  world.socket.end(4503, "no");
  for (let id = 1; id <= 300; id += 1) await items.next();
  await assert.rejects(items.next(), { code: 4503 });
  while (store.pending.length) {
    store.pending[0].keep();
    await world.settled();
  }
  assert.deepEqual([store.kept, store.most, store.asked.length <= 2], ["c300", 1, true]);
});

test("a store that cannot be read is asked again, and nothing begins or is kept before it answers", async () => {
  const kept = [];
  const answers = [new Error("away"), new Error("away"), "c5"];
  const get = async () => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const feed = connect(URL_, { store: { get, set: (cursor) => kept.push(cursor) } });
  const said = listen(feed);
  await world.settled();
  for (const left of [2, 1]) {
    assert.deepEqual([feed.state, wait(said), answers.length, world.sockets.length], ["waiting", 4.5, left, 0]);
    world.hear("pagehide");
    world.hear("online");
    feed.reconnect();
    await world.pass(4.5);
  }
  assert.deepEqual(said.of("error").map(({ message }) => message), ["away", "away"]);
  assert.deepEqual([query(), kept], [{ cursor: "c5" }, []]);
});

test("in a browser that lets the page keep nothing localStore has no cursor, and its errors are told of", async () => {
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get() {
      throw new Error("denied");
    },
  });
  const { feed, said } = await live({ store: localStore("posts") });
  assert.deepEqual([feed.state, said.of("error").length], ["live", 0]);
  await world.pass(1);
  assert.deepEqual(said.of("error").map(({ message }) => message), ["denied"]);
  delete globalThis.localStorage;
});

test("a feed that is closed while its store cannot be read asks it no more", async () => {
  let asked = 0;
  const get = () => {
    asked += 1;
    throw new Error("away");
  };
  const feed = connect(URL_, { store: { get, set() {} } });
  await world.settled();
  feed.close();
  await world.pass(60);
  assert.deepEqual([feed.state, asked, world.sockets.length], ["closed", 1, 0]);
});

test("with a device the edge is told what was handled, at most once a second", async () => {
  await live({ device: "phone" });
  world.socket.say(created(1), created(2));
  await world.pass(1);
  assert.deepEqual(world.socket.sent, [{ action: "ack", id: 1, payload: { cursor: "c2" } }]);
});

test("what was handled while there was no connection is acknowledged on the next one", async () => {
  await live({ device: "phone" });
  world.socket.say(created(1), created(2));
  world.socket.end(1001);
  await world.pass(1);
  assert.deepEqual(world.sockets.map(({ sent }) => sent), [[], []]);
  world.socket.say(welcome("c2"));
  await world.pass(1);
  assert.deepEqual(world.socket.sent, [{ action: "ack", id: 1, payload: { cursor: "c2" } }]);
  await world.pass(10);
  assert.equal(world.socket.sent.length, 1);
});

test("an acknowledgement that may be lost with its connection is sent again on the next one", async () => {
  await live({ device: "phone" });
  world.socket.say(created(1));
  await world.pass(1);
  world.socket.end(1006);
  await world.pass(1);
  world.socket.say(welcome("c1"));
  await world.pass(1);
  assert.deepEqual(world.sockets.map(({ sent }) => sent.map(({ payload }) => payload.cursor)), [["c1"], ["c1"]]);
});

test("what was handled while it polled is acknowledged when there is a WebSocket again", async () => {
  await polling({ device: "phone", cursor: "c0" });
  world.request.answer(200, { "Stream-Next-Offset": "c1", "Stream-Up-To-Date": "true" }, [created(1)]);
  await world.settled();
  await world.pass(2);
  world.request.fail();
  await world.settled();
  await world.pass(1);
  world.socket.say(welcome("c1"));
  await world.pass(1);
  assert.deepEqual(world.socket.sent.map(({ action, payload }) => [action, payload.cursor]), [["ack", "c1"]]);
});

test("an edge that answers with errors is not told on and on: it would end the session for good", async () => {
  await live({ device: "phone" });
  for (let id = 1; id <= 20; id += 1) {
    world.socket.say(created(id));
    await world.pass(1);
    if (world.socket.sent.length === id) world.socket.say({ action: "error", id, payload: { code: "bad_cursor" } });
  }
  assert.equal(world.socket.sent.length, 5);
  world.socket.end(1001);
  await world.pass(1);
  world.socket.say(welcome("c20"), created(21));
  await world.pass(1);
  assert.equal(world.socket.sent.length, 1);
});

// --- Long polling ---

/** Refuse the WebSocket, and return what is asked instead. */
async function polling(options) {
  const feed = connect(URL_, options);
  const said = listen(feed);
  await world.settled();
  world.socket.end(1006);
  await world.settled();
  return { feed, said };
}

test("where no WebSocket gets through it polls, with the token in a header", async () => {
  const { feed, said } = await polling({ token: "t", author: 7, history: 5 });
  assert.equal(world.request.url.href, "https://edge.example/posts?author=7&offset=now");
  assert.deepEqual(world.request.headers, { Authorization: "Bearer t" });
  world.request.answer(200, { "Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true", "Stream-Cursor": "e1" }, "[]");
  await world.settled();
  assert.equal(feed.state, "live");
  assert.equal(world.request.url.search, "?author=7&offset=c0&live=long-poll&cursor=e1");
  world.request.answer(200, { "Stream-Next-Offset": "c2", "Stream-Up-To-Date": "true", "Stream-Cursor": "e2" }, [created(1), created(2)]);
  await world.settled();
  assert.deepEqual([said.ids, feed.cursor], [[1, 2], "c2"]);
  assert.equal(world.request.url.search, "?author=7&offset=c2&live=long-poll&cursor=e2");
  await world.pass(25);
  world.request.answer(204, { "Stream-Next-Offset": "c3", "Stream-Up-To-Date": "true", "Stream-Cursor": "e3" });
  await world.settled();
  await world.pass(0);
  assert.equal(world.request.url.searchParams.get("offset"), "c3");
  assert.equal(feed.cursor, "c3");
});

test("a device without a cursor does not poll, which would begin behind what it has missed", async () => {
  const { feed, said } = await polling({ device: "phone" });
  assert.deepEqual([feed.state, world.requests.length], ["waiting", 0]);
  assert.ok(wait(said) <= 1);
  await world.pass(1);
  assert.deepEqual(query(), { device: "phone", history: "0" });
  world.socket.say(welcome("c0"));
  world.socket.end(1006);
  await world.pass(1);
  world.socket.end(1006);
  await world.settled();
  assert.equal(world.request.url.search, "?offset=c0");
});

test("a device polls with a cursor alone where the caller has put that first, too", async () => {
  const { said } = await live({ device: "phone", transports: ["long-polling", "websocket"] });
  assert.deepEqual([query(), world.requests.length], [{ device: "phone", history: "0" }, 0]);
  world.socket.end(1006);
  await world.pass(1);
  assert.deepEqual([world.request.url.search, world.sockets.length], ["?offset=c0", 1]);
  world.request.fail();
  await world.settled();
  assert.deepEqual([query(), said.of("gap")], [{ device: "phone", cursor: "c0" }, []]);
});

test("a device that polling stands before waits for a WebSocket as long as none can be had", async () => {
  const feed = connect(URL_, { device: "phone", transports: ["long-polling", "websocket"] });
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await world.settled();
    assert.equal(world.sockets.length, attempt);
    world.socket.end(1006);
    await world.pass(60);
  }
  assert.deepEqual([feed.state, world.requests.length], ["connecting", 0]);
});

test("a device that could only poll is refused: it would never count", () => {
  const message = "a device counts by websocket alone: list that, too";
  for (const cursor of [null, "c0"])
    assert.throws(() => connect(URL_, { device: "phone", cursor, transports: ["long-polling"] }), { name: "TypeError", message });
});

test("where there is no WebSocket the next transport is used, and a feed that has none is closed", async () => {
  globalThis.WebSocket = undefined;
  const feed = connect(URL_);
  await world.settled();
  world.request.answer(200, { "Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true" }, "[]");
  await world.settled();
  assert.equal(feed.state, "live");
  for (const options of [{ transports: ["websocket"] }, { device: "phone" }]) {
    const said = listen(connect(URL_, options));
    await world.settled();
    assert.deepEqual(said.of("state").at(-1), { state: "closed", code: 4500, reason: "there is no WebSocket here" });
  }
});

test("where there is no WebSocket and polling stands first, a poll that failed is tried again", async () => {
  globalThis.WebSocket = undefined;
  const feed = connect(URL_, { transports: ["long-polling", "websocket"] });
  await world.settled();
  world.request.answer(502, {}, "");
  await world.settled();
  assert.equal(feed.state, "waiting");
  await world.pass(1);
  world.request.answer(200, { "Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true" }, "[]");
  await world.settled();
  assert.equal(feed.state, "live");
});

test("pages that are not the last are asked for without waiting", async () => {
  await polling({ cursor: "c0" });
  const upToDate = { "Stream-Up-To-Date": "true", "Stream-Cursor": "e1" };
  for (const [id, more] of [[1, {}], [2, upToDate], [3, {}]]) {
    world.request.answer(200, { "Stream-Next-Offset": `c${id}`, ...more }, [created(id)]);
    await world.settled();
    assert.equal(world.request.url.search, `?offset=c${id}${id === 2 ? "&live=long-poll&cursor=e1" : ""}`);
  }
});

test("a gap while polling is an item, too", async () => {
  const { said, feed } = await polling({ cursor: "c0" });
  world.request.answer(410, { "Stream-Next-Offset": "c5" }, { recovered: false, reason: "expired", cursor: "c5" });
  await world.settled();
  assert.deepEqual(said.of("gap"), [{ gap: { reason: "expired" }, cursor: "c5" }]);
  assert.equal(feed.cursor, "c5");
  assert.equal(world.request.url.search, "?offset=c5");
});

test("when both fail it waits, and begins with the WebSocket again", async () => {
  const { feed } = await polling();
  world.request.fail();
  await world.settled();
  assert.equal(feed.state, "waiting");
  await world.pass(1);
  assert.equal(world.sockets.length, 2);
});

test("a close frame says that WebSockets get through", async () => {
  const feed = connect(URL_);
  await world.settled();
  world.socket.end(4001, "retry_after=2");
  await world.settled();
  assert.deepEqual([feed.state, world.requests.length], ["waiting", 0]);
});

test("Retry-After wins, and statuses that are final are", async () => {
  const { feed, said } = await polling({ transports: ["websocket", "long-polling"] });
  world.request.answer(503, { "Retry-After": "7" }, "full");
  await world.settled();
  assert.equal(wait(said), 7);
  for (const [status, code] of [[400, 4500], [401, 4501], [403, 4503], [414, 4500]]) {
    const { feed, said } = await polling();
    world.request.answer(status, {}, "no\n");
    await world.settled();
    assert.deepEqual(said.of("state").at(-1), { state: "closed", code, reason: "no" });
    feed.close();
  }
  feed.close();
});

for (const status of [200, 404, 408, 429, 500, 502])
  test(`a ${status} of somebody else's is no end`, async () => {
    const { feed } = await polling();
    world.request.answer(status, {}, "<html>");
    await world.settled();
    assert.equal(feed.state, "waiting");
  });

for (const [status, body] of [[200, "{}"], [200, "null"], [200, "[null]"], [200, '[{"action":"created"}]'], [410, "null"]])
  test(`an answer of another form is no end, and moves nothing: ${status} ${body}`, async () => {
    const { feed } = await polling({ cursor: "c0" });
    world.request.answer(status, { "Stream-Next-Offset": "c9" }, body);
    await world.settled();
    assert.deepEqual([feed.state, feed.cursor], ["waiting", "c0"]);
  });

/** Answer with a post every five seconds until a WebSocket is tried; return after how many seconds it was. */
async function polledUntilALook() {
  const begun = Date.now();
  const sockets = world.sockets.length;
  for (;;) {
    world.request.answer(200, { "Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true" }, [created(1)]);
    await world.settled();
    if (world.sockets.length > sockets) break;
    await world.pass(5);
  }
  assert.equal(world.request.isOpen, false);
  return (Date.now() - begun) / 1000;
}

test("who polls looks after half a minute whether a WebSocket can be had, and less often each time", async () => {
  const { feed } = await polling();
  for (const seconds of [30, 60, 120, 240, 480, 600, 600]) {
    const look = await polledUntilALook();
    assert.ok(seconds <= look && look <= seconds + 10, `${look} is not ${seconds}`);
    world.socket.end(1006);
    await world.settled();
  }
  await polledUntilALook();
  world.socket.say(welcome("c0"));
  await world.settled();
  assert.equal(feed.state, "live");
  // An edge that is just starting refuses it, and answers a poll.
  world.socket.end(1006);
  await world.settled();
  await world.pass(1);
  world.socket.end(1006);
  await world.settled();
  assert.ok((await polledUntilALook()) <= 40);
});

test("answers without a wait do not make it ask without end", async () => {
  await polling();
  const headers = { "Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true" };
  world.request.answer(200, headers, "[]");
  await world.settled();
  world.request.answer(204, headers);
  await world.settled();
  assert.equal(world.requests.length, 2);
  await world.pass(1);
  assert.equal(world.requests.length, 3);
});

test("pages that have nothing and do not move are asked for once a second, and others at once", async () => {
  await polling({ cursor: "c1" });
  const answer = async (next) => {
    world.request.answer(200, { "Stream-Next-Offset": next }, "[]");
    await world.settled();
    return world.requests.length;
  };
  assert.equal(await answer("c1"), 1);
  await world.pass(1);
  assert.equal(world.requests.length, 2);
  assert.equal(await answer("c2"), 3);
});

test("a poll that nobody answers ends, and the transports may be named", async () => {
  const feed = connect(URL_, { transports: ["long-polling"] });
  await world.settled();
  assert.equal(world.sockets.length, 0);
  await world.pass(21);
  assert.deepEqual([feed.state, world.request.isOpen], ["waiting", false]);
});

// --- Integers ---

test("integers that a Number cannot hold are BigInts, and nothing else changes", () => {
  assert.deepEqual(parse('{"id":9007199254740991,"n":-9007199254740993,"a":[9223372036854775807, 1]}'), {
    id: 9007199254740991, n: -9007199254740993n, a: [9223372036854775807n, 1],
  });
  const same = { "~9223372036854775807": "~1", "=": "=~2", a: "\u007e3", b: ':9223372036854775807"', c: "\\", d: [1.5, 1e300, true, null] };
  const text = JSON.stringify(same).replace('"~3"', '"\\u007e3"').replace("}", ',"f":0.12345678901234567890,"z":9223372036854775807}');
  assert.deepEqual(parse(text), { ...same, f: 0.12345678901234568, z: 9223372036854775807n });
  assert.equal(parse("9007199254740992"), 9007199254740992n);
  assert.throws(() => parse("{:1111111111111111111"), SyntaxError);
});

test("whatever JSON says otherwise comes back the same beside a long integer", () => {
  let seed = 7;
  const next = (most) => (seed = (seed * 48271) % 2147483647) % most;
  const text = () => Array.from({ length: next(6) }, () => ['"', "\\", "~", "=", "1", "\n", "é", ":", "9223372036854775807"][next(9)]).join("");
  const value = (depth) => {
    const kind = next(depth ? 6 : 4);
    if (kind < 2) return text();
    if (kind === 2) return next(1000) / 8 - 60;
    if (kind === 3) return [true, false, null][next(3)];
    const length = next(4);
    if (kind === 4) return Array.from({ length }, () => value(depth - 1));
    return Object.fromEntries(Array.from({ length }, () => [text(), value(depth - 1)]));
  };
  for (let round = 0; round < 3000; round += 1) {
    const made = value(3);
    assert.deepEqual(parse(`{"id":9223372036854775807,"made":${JSON.stringify(made)}}`), { id: 9223372036854775807n, made });
  }
});
