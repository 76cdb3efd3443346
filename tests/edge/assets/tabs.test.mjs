// What docs/javascript.md says of tabs: node --test tabs.test.mjs
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { connect } from "../../../edge/assets/client.js";
// Loaded here, since the clock of the tests does not wait for files.
import { share } from "../../../edge/assets/client-tabs.js";
import { World, created, listen, welcome } from "./world.mjs";

const URL_ = "https://edge.example/";
let world;
let locks;

/** The browser's locks: one holder a name, the others in order. */
class Locks {
  queues = new Map();

  request(name, { signal }, callback) {
    const queue = this.queues.get(name) ?? [];
    this.queues.set(name, queue);
    return new Promise((resolve, reject) => {
      const wanted = { callback, resolve, isHeld: false };
      queue.push(wanted);
      signal.addEventListener("abort", () => {
        if (wanted.isHeld) return;
        queue.splice(queue.indexOf(wanted), 1);
        reject(signal.reason);
      });
      this.grant(queue);
    });
  }

  async grant(queue) {
    const [first] = queue;
    if (!first || first.isHeld) return;
    first.isHeld = true;
    await Promise.resolve();
    first.resolve(await first.callback());
    queue.shift();
    this.grant(queue);
  }
}

/** Channels of one browser; what a tab is sent, it gets later. A tab that is frozen gets nothing and says nothing. */
const channels = new Set();
class Channel {
  isFrozen = false;

  constructor(name) {
    this.name = name;
    channels.add(this);
  }

  postMessage(data) {
    if (this.isFrozen) return;
    const copy = structuredClone(data);
    for (const other of channels)
      if (other !== this && other.name === this.name)
        queueMicrotask(() => other.isFrozen || !channels.has(other) || other.onmessage({ data: copy }));
  }

  close() {
    channels.delete(this);
  }
}

function begin() {
  world = new World();
  // A tab that cannot go with the others has its own.
  world.mostSockets = 10;
  locks = new Locks();
  channels.clear();
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
  globalThis.BroadcastChannel = Channel;
}

beforeEach(begin);

async function tab({ url = URL_, ...options } = {}) {
  const feed = connect(url, { shareTabs: true, ...options });
  const said = listen(feed);
  for (let turn = 0; turn < 5; turn += 1) await world.settled();
  return { feed, said };
}

/** Have a tab that leads, welcomed, and one that follows. */
async function two(options) {
  const leader = await tab(options);
  world.socket.say(welcome("c0"));
  const follower = await tab(options);
  return [leader, follower];
}

function query(socket = world.socket) {
  return Object.fromEntries(new URL(socket.url).searchParams);
}

test("two tabs share one connection, and each has its own cursor", async () => {
  const [leader, follower] = await two();
  world.socket.say(created(1), created(2));
  await world.settled();
  assert.equal(world.sockets.length, 1);
  for (const { feed, said } of [leader, follower])
    assert.deepEqual([said.ids, feed.cursor, feed.state], [[1, 2], "c2", "live"]);
});

test("an id beyond 2^53 is a BigInt in every tab", async () => {
  const [, follower] = await two();
  world.socket.say(JSON.stringify(created("ID")).replace('"ID"', "9223372036854775807"));
  await world.settled();
  assert.deepEqual(follower.said.ids, [9223372036854775807n]);
});

test("when the leader closes, another goes on with its own cursor", async () => {
  const [leader, follower] = await two();
  world.socket.say(created(1));
  await world.settled();
  leader.feed.close();
  await world.settled();
  assert.equal(world.sockets.length, 2);
  assert.deepEqual([query(), world.sockets[0].closedWith], [{ cursor: "c1" }, 1000]);
  world.socket.say(welcome("c1"), created(2));
  await world.settled();
  assert.deepEqual([leader.said.ids, follower.said.ids], [[1], [1, 2]]);
});

test("when the leader closes, the others are connecting before another one leads", async () => {
  const [leader, follower] = await two();
  // Who is to lead next has the lock, and can say nothing yet.
  const [, channel] = channels;
  const third = await tab();
  channel.isFrozen = true;
  leader.feed.close();
  await world.settled();
  assert.deepEqual([follower.feed.state, third.feed.state], ["connecting", "connecting"]);
  assert.deepEqual(third.said.states, ["connecting", "live", "connecting"]);
});

test("with a device the next leader acknowledges what was handled before", async () => {
  const [leader] = await two({ device: "phone" });
  world.socket.say(created(1));
  await world.settled();
  // The followers' second passes while somebody else leads.
  await world.pass(2);
  leader.feed.close();
  await world.settled();
  world.socket.say(welcome("c1"));
  await world.pass(1);
  assert.deepEqual(world.sockets.map(({ sent }) => sent.map(({ payload }) => payload.cursor)), [["c1"], ["c1"]]);
});

test("what a tab missed between two leaders it gets from the new one", async () => {
  const [leader, follower] = await two();
  const third = await tab();
  world.socket.say(created(1));
  await world.settled();
  const [, , channel] = channels;
  channel.isFrozen = true;
  world.socket.say(created(2));
  await world.settled();
  leader.feed.close();
  await world.settled();
  channel.isFrozen = false;
  world.socket.say(welcome("c2"), created(3));
  await world.settled();
  assert.deepEqual([follower.said.ids, third.said.ids, world.sockets.length], [[1, 2, 3], [1, 2, 3], 2]);
});

test("a tab that comes later gets the history that the others have, without a connection", async () => {
  const leader = await tab({ history: 2 });
  world.socket.say(welcome("c0"), created(1), created(2), created(3));
  const follower = await tab({ history: 2 });
  assert.deepEqual([follower.said.ids, follower.feed.cursor, world.sockets.length], [[2, 3], "c3", 1]);
  world.socket.say(created(4));
  await world.settled();
  assert.deepEqual([leader.said.ids, follower.said.ids], [[1, 2, 3, 4], [2, 3, 4]]);
});

test("a history of which there is no more is whole, however short", async () => {
  await tab({ history: 30 });
  world.socket.say(welcome("c0"), created(1));
  const follower = await tab({ history: 30 });
  assert.deepEqual([follower.said.ids, world.sockets.length], [[1], 1]);
});

test("a tab that comes before the first welcome waits for it", async () => {
  await tab();
  const follower = await tab();
  assert.equal(follower.feed.state, "connecting");
  world.socket.say(welcome("c0"));
  await world.settled();
  world.socket.say(created(1));
  await world.settled();
  assert.deepEqual([follower.said.ids, follower.feed.state, world.sockets.length], [[1], "live", 1]);
});

test("a tab with a cursor that the leader has kept gets what follows it", async () => {
  await two();
  world.socket.say(created(1), created(2), created(3));
  const late = await tab({ cursor: "c1" });
  assert.deepEqual([late.said.ids, world.sockets.length], [[2, 3], 1]);
});

test("the last 500 items are remembered, and no more", async () => {
  await tab();
  world.socket.say(welcome("c0"));
  for (let id = 1; id <= 600; id += 1) world.socket.say(created(id));
  const late = await tab({ cursor: "c100" });
  assert.deepEqual([late.said.ids.length, late.said.ids[0], world.sockets.length], [500, 101, 1]);
  await tab({ cursor: "c99" });
  assert.equal(world.sockets.length, 2);
});

test("heartbeats that move nothing take no place of posts", async () => {
  await two();
  world.socket.say(created(1));
  for (let count = 0; count < 1000; count += 1) world.socket.say({ action: "heartbeat", payload: {}, cursor: "c1" });
  const late = await tab({ cursor: "c0" });
  assert.deepEqual([late.said.ids, world.sockets.length], [[1], 1]);
});

test("a tab with another cursor connects by itself until it stands where the leader does", async () => {
  const [leader] = await two();
  world.socket.say(created(5));
  const late = await tab({ cursor: "c3" });
  assert.equal(world.sockets.length, 2);
  assert.deepEqual(query(), { cursor: "c3" });
  world.sockets[1].say(welcome("c3"), created(4));
  await world.pass(1);
  await world.settled();
  assert.equal(world.sockets[1].isOpen, true);
  world.sockets[1].say(created(5));
  await world.pass(1);
  await world.settled();
  assert.deepEqual([world.sockets[1].isOpen, world.sockets[0].isOpen], [false, true]);
  world.sockets[0].say(created(6));
  await world.settled();
  assert.deepEqual([late.said.ids, leader.said.ids], [[4, 5, 6], [5, 6]]);
});

test("what follows an old feed's cursor is never taken from the new feed", async () => {
  // Cursors have no order here: one of before is simply not among those that are kept.
  await two();
  world.socket.say(created(1), welcome("d0", { recovered: false, reason: "recreated" }), created(2, "d2"));
  const late = await tab({ cursor: "c1" });
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(late.said.all.filter(([type]) => type !== "state").map(([type]) => type), ["gap", "post"]);
  const later = await tab({ cursor: "c0" });
  assert.equal(world.sockets.length, 2);
  world.socket.say(welcome("d2", { recovered: false, reason: "recreated" }));
  await world.pass(1);
  assert.equal(later.said.of("gap").length, 1);
  assert.equal(world.sockets[1].isOpen, false);
});

test("a gap is said in each tab, once", async () => {
  const [leader, follower] = await two();
  world.socket.say(welcome("c5", { recovered: false, reason: "interrupted" }), created(6));
  await world.settled();
  for (const { said } of [leader, follower]) {
    assert.deepEqual(said.of("gap"), [{ gap: { reason: "interrupted" }, cursor: "c5" }]);
    assert.deepEqual(said.ids, [6]);
  }
});

test("a leader that is frozen is done without, and one that is back is followed again", async () => {
  const [leader, follower] = await two();
  const [channel] = channels;
  channel.isFrozen = true;
  await world.pass(30);
  await world.pass(3);
  assert.equal(world.sockets.length, 2);
  world.sockets[1].say(welcome("c0"), created(1));
  await world.settled();
  assert.deepEqual(follower.said.ids, [1]);
  channel.isFrozen = false;
  world.sockets[0].say(created(1));
  await world.pass(1);
  await world.pass(3);
  await world.settled();
  assert.equal(world.sockets[1].isOpen, false);
  world.sockets[0].say(created(2));
  await world.settled();
  assert.deepEqual([leader.said.ids, follower.said.ids], [[1, 2], [1, 2]]);
});

test("a tab with a connection of its own that becomes the leader keeps it", async () => {
  const [leader, follower] = await two();
  const late = await tab({ cursor: "x" });
  follower.feed.close();
  leader.feed.close();
  await world.settled();
  world.sockets[1].say(welcome("x"), created(7));
  const other = await tab({ cursor: "x" });
  assert.deepEqual([late.said.ids, other.said.ids, world.sockets.length], [[7], [7], 2]);
});

test("all tabs know the state, and each can ask for a connection now", async () => {
  const [leader, follower] = await two();
  world.socket.end(4001, "retry_after=50");
  await world.settled();
  assert.deepEqual([leader.feed.state, follower.feed.state], ["waiting", "waiting"]);
  assert.deepEqual(follower.said.of("state").at(-1), leader.said.of("state").at(-1));
  follower.feed.reconnect();
  await world.settled();
  assert.equal(world.sockets.length, 2);
  world.socket.say(welcome("c0"));
  await world.settled();
  assert.equal(follower.feed.state, "live");
});

test("the next leader obeys the wait that the edge asked for, whether the last one says goodbye or not", async () => {
  for (const isFrozen of [false, true]) {
    begin();
    const [leader, follower] = await two();
    const third = await tab();
    world.socket.end(4001, "the edge is full; retry_after=50");
    await world.settled();
    const asked = leader.said.of("state").at(-1);
    const [channel] = channels;
    channel.isFrozen = isFrozen;
    leader.feed.close();
    await world.settled();
    world.hear("online");
    await world.pass(20);
    await world.pass(29);
    assert.equal(world.sockets.length, 1);
    for (const { said } of [follower, third]) assert.deepEqual(said.of("state").at(-1), asked);
    await world.pass(1.1);
    assert.equal(world.sockets.length, 2);
    world.socket.say(welcome("c0"), created(1));
    await world.settled();
    assert.deepEqual([follower.said.ids, third.said.ids], [[1], [1]]);
  }
});

test("a tab that leads while it waits connects when it is asked to", async () => {
  const [leader, follower] = await two();
  const third = await tab();
  world.socket.end(4001, "the edge is full; retry_after=50");
  await world.settled();
  leader.feed.close();
  await world.settled();
  third.feed.reconnect();
  await world.settled();
  assert.deepEqual([follower.feed.state, world.sockets.length], ["connecting", 2]);
  world.socket.say(welcome("c0"));
  await world.pass(60);
  assert.deepEqual([third.feed.state, world.sockets.length], ["live", 2]);
});

test("a tab is told of a state once, however often the leader says it", async () => {
  const [, follower] = await two();
  assert.deepEqual(follower.said.states, ["connecting", "live"]);
  for (let minute = 0; minute < 4; minute += 1) await world.pass(30);
  assert.deepEqual(follower.said.states, ["connecting", "live"]);
});

test("a tab that wakes up wakes the one that leads", async () => {
  await tab();
  world.socket.say(welcome("c0"));
  // All tabs of a test have one page. This one is that of the follower alone.
  const page = (globalThis.document = new EventTarget());
  page.baseURI = URL_;
  const follower = await tab();
  world.socket.end(1001);
  await world.settled();
  assert.equal(follower.feed.state, "waiting");
  page.dispatchEvent(new Event("visibilitychange"));
  await world.settled();
  assert.equal(world.sockets.length, 2);
  assert.equal(follower.feed.state, "connecting");
});

test("what is final for the leader is for all", async () => {
  const [, follower] = await two();
  world.socket.end(4503, "no");
  await world.settled();
  assert.deepEqual(follower.said.of("state").at(-1), { state: "closed", code: 4503, reason: "no" });
  await world.pass(100);
  assert.equal(world.sockets.length, 1);
  assert.equal(channels.size, 0);
});

const jwt = (n) => `x.${btoa(JSON.stringify({ sub: "1", n })).replaceAll("=", "")}.y`;

/** The token that was offered last. */
function shown() {
  return world.socket.protocols[1].replace("postcast.token.", "");
}

test("a leader whose token is refused closes alone, and the next one tries its own", async () => {
  world.mostSockets = 1;
  const [leader, follower] = [await tab({ token: jwt(1) }), await tab({ token: jwt(2) })];
  world.socket.say(welcome("c0"));
  await world.settled();
  world.socket.say(created(1));
  await world.settled();
  world.socket.end(4501, "the token has run out");
  await world.settled();
  assert.deepEqual(leader.said.of("state").at(-1), { state: "closed", code: 4501, reason: "the token has run out" });
  assert.deepEqual([shown(), query().cursor, world.sockets.length], [jwt(2), "c1", 2]);
  world.socket.say(welcome("c1"), created(2));
  await world.pass(60);
  assert.deepEqual([follower.said.states, follower.said.ids], [["connecting", "live", "connecting", "live"], [1, 2]]);
  world.socket.end(4501, "the token has run out");
  await world.pass(60);
  assert.deepEqual([follower.feed.state, world.sockets.length, channels.size], ["closed", 2, 0]);
});

test("a leader whose token function fails lets another one lead, and follows it when its wait is over", async () => {
  world.mostSockets = 1;
  let fails = false;
  const token = async () => {
    if (fails) throw new Error("the session is gone");
    return jwt(1);
  };
  const [leader, follower] = [await tab({ token }), await tab({ token: async () => jwt(2) })];
  world.socket.say(welcome("c0"));
  await world.settled();
  world.socket.say(created(1));
  await world.settled();
  fails = true;
  world.socket.end(1001);
  await world.settled();
  assert.deepEqual([leader.feed.state, follower.feed.state], ["waiting", "waiting"]);
  await world.pass(1);
  assert.deepEqual([leader.said.of("state").at(-1).reason, follower.feed.state], ["there is no token", "connecting"]);
  assert.deepEqual([shown(), world.sockets.length], [jwt(2), 2]);
  world.socket.say(welcome("c1"), created(2));
  await world.settled();
  assert.deepEqual([leader.feed.state, follower.feed.state, leader.said.ids], ["waiting", "live", [1]]);
  await world.pass(1.6);
  world.socket.say(created(3));
  await world.settled();
  for (const { feed, said } of [leader, follower]) assert.deepEqual([feed.state, said.ids], ["live", [1, 2, 3]]);
  await world.pass(60);
  assert.deepEqual([world.sockets.length, leader.said.of("error").length], [2, 1]);
});

test("a leader whose new token is refused once goes on as soon as it has a good one", async () => {
  world.mostSockets = 1;
  let asked = 0;
  const only = await tab({ token: async () => jwt((asked += 1)) });
  world.socket.say(welcome("c0"), created(1));
  world.socket.end(4501, "the token has run out");
  await world.settled();
  assert.deepEqual([only.feed.state, world.sockets.length], ["waiting", 1]);
  await world.pass(1);
  await world.settled();
  assert.deepEqual([shown(), query().cursor], [jwt(asked), "c1"]);
  world.socket.say(welcome("c1"), created(2));
  await world.settled();
  assert.deepEqual([only.feed.state, only.said.ids], ["live", [1, 2]]);
});

test("a tab alone without a token that comes to lead lets another one lead, and tells nobody of it", async () => {
  let fails = false;
  const token = async () => {
    if (fails) throw new Error("the session is gone");
    return jwt(2);
  };
  const leader = await tab({ token: jwt(1) });
  const [second, third] = [await tab({ token }), await tab({ token: jwt(3) })];
  world.socket.say(welcome("c0"));
  await world.settled();
  fails = true;
  const [channel] = channels;
  channel.isFrozen = true;
  for (let second = 0; second < 34; second += 1) await world.pass(1);
  assert.deepEqual([second.said.of("state").at(-1).reason, shown()], ["there is no token", jwt(3)]);
  world.socket.say(welcome("c0"));
  // Until its waits are longer than those of a tab that asks who leads.
  for (let second = 0; second < 12; second += 1) await world.pass(1);
  leader.feed.close();
  for (let second = 0; second < 30; second += 1) await world.pass(1);
  world.socket.say(created(1));
  await world.settled();
  for (const { feed, said } of [second, third]) assert.deepEqual([feed.state, said.ids], ["live", [1]]);
  assert.deepEqual([third.said.states.includes("waiting"), world.sockets.length], [false, 2]);
});

test("a tab that stands back tries at once when it is asked to, or the browser wakes up", async () => {
  world.mostSockets = 1;
  for (const act of [() => world.hear("online"), ({ feed }) => feed.reconnect()]) {
    begin();
    const only = await tab({ token: async () => jwt(1) });
    world.socket.say(welcome("c0"));
    world.socket.end(4501);
    await world.settled();
    act(only);
    await world.settled();
    assert.deepEqual([only.feed.state, world.sockets.length], ["connecting", 2]);
    await world.pass(2);
    assert.equal(world.sockets.length, 2);
    world.socket.end(4501);
    await world.settled();
    only.feed.close();
    await world.pass(600);
    assert.deepEqual([world.sockets.length, channels.size], [2, 0]);
  }
});

test("a tab that was closed takes no part any more when the browser wakes up", async () => {
  let made = 0;
  const link = () => ((made += 1), { connect() {}, stop() {}, wake() {} });
  const tabs = await share(new URL(URL_), {}, null, link, { enter() {} }, JSON.parse);
  tabs.connect();
  await world.settled();
  tabs.stop();
  tabs.wake();
  await world.settled();
  assert.deepEqual([made, channels.size], [1, 0]);
});

test("where no tab has a good token each waits as long as it would alone, and is closed as it would be", async () => {
  world.mostSockets = 1;
  const tabs = [];
  for (let n = 1; n <= 3; n += 1) tabs.push(await tab({ token: async () => jwt(n) }));
  const attempts = [];
  for (let tick = 0; tick < 1200; tick += 1) {
    if (world.socket.isOpen) {
      attempts.push(shown());
      world.socket.end(4501, "no");
    }
    await world.pass(0.1);
  }
  for (const [index, { said }] of tabs.entries()) {
    assert.equal(attempts.filter((token) => token === jwt(index + 1)).length, 6);
    assert.deepEqual(said.of("state").at(-1), { state: "closed", code: 4501, reason: "no" });
  }
});

test("where no tab can have a token each asks for one as often as it would alone", async () => {
  const asked = [0, 0, 0];
  let fails = false;
  const tabs = [];
  for (const index of asked.keys()) {
    const token = async () => {
      if (!fails) return jwt(index);
      asked[index] += 1;
      throw new Error("no");
    };
    tabs.push(await tab({ token }));
  }
  world.socket.say(welcome("c0"));
  await world.settled();
  fails = true;
  world.socket.end(1001);
  for (let second = 0; second < 600; second += 1) await world.pass(1);
  // By 0.75, 1.5, 3 … 45 s.
  for (const count of asked) assert.ok(count >= 10 && count <= 20, `${asked}`);
  fails = false;
  for (let second = 0; second < 120; second += 1) await world.pass(1);
  assert.equal(world.sockets.filter(({ isOpen }) => isOpen).length, 1);
  world.socket.say(welcome("c0"), created(1));
  for (let second = 0; second < 60; second += 1) await world.pass(1);
  for (const { feed, said } of tabs) assert.deepEqual([feed.state, said.ids], ["live", [1]]);
});

test("a leader that cannot keep up lets another one lead, and misses nothing", async () => {
  const leader = connect(URL_, { shareTabs: true });
  const items = leader[Symbol.asyncIterator]();
  await world.settled();
  world.socket.say(welcome("c0"));
  const follower = await tab();
  for (let id = 1; id <= 1000; id += 1) world.socket.say(created(id));
  await world.settled();
  assert.deepEqual([leader.state, world.sockets.length, query()], ["waiting", 2, { cursor: "c1000" }]);
  world.socket.say(welcome("c1000"), created(1001));
  await world.settled();
  for (let id = 1; id <= 1001; id += 1) {
    const { value } = await items.next();
    assert.equal(value.post.id, id);
  }
  assert.deepEqual([follower.said.ids.length, world.sockets.length], [1001, 2]);
});

test("a tab that is closed in a listener of connecting stays closed", async () => {
  const feed = connect(URL_, { shareTabs: true });
  feed.addEventListener("state", () => feed.close());
  for (let turn = 0; turn < 5; turn += 1) await world.settled();
  for (const seconds of [4, 75, 3600]) await world.pass(seconds);
  assert.deepEqual([feed.state, world.sockets.length, channels.size], ["closed", 0, 0]);
});

test("tabs that see something else do not share", async () => {
  const jwt = (claims) => `x.${btoa(JSON.stringify(claims)).replaceAll("=", "")}.y`;
  await tab();
  await tab({ author: 7 });
  await tab({ author: [9, 7] });
  await tab({ device: "phone" });
  await tab({ history: 5 });
  await tab({ url: `${URL_}other/` });
  await tab({ token: jwt({ sub: "1" }) });
  await tab({ token: () => jwt({ sub: "2", exp: 1 }) });
  await tab({ token: jwt({ sub: "2", postcast: { authors: [1] } }) });
  await tab({ token: "opaque" });
  assert.equal(world.sockets.length, 10);
  await tab({ author: ["7", 9n] });
  await tab({ token: jwt({ sub: "2", exp: 2 }) });
  await tab({ token: "opaque" });
  await tab({ url: "https://edge.example" });
  assert.equal(world.sockets.length, 10);
});

test("a claim of authors beyond 2^53 is not taken for another one", async () => {
  const jwt = (authors) => `x.${btoa(`{"sub":"2","postcast":{"authors":[${authors}]}}`).replaceAll("=", "")}.y`;
  await tab({ token: jwt("9007199254740992") });
  await tab({ token: jwt("9007199254740993") });
  assert.equal(world.sockets.length, 2);
  await tab({ token: jwt("9007199254740993") });
  assert.equal(world.sockets.length, 2);
});

test("where there are no locks, or the token cannot be had, a tab has its own connection", async () => {
  let fails = true;
  const { said } = await tab({
    token: async () => {
      if (!fails) return "t";
      fails = false;
      throw new Error("no");
    },
  });
  assert.deepEqual([said.of("error").length, world.sockets.length], [1, 1]);
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  await tab();
  assert.equal(world.sockets.length, 2);
});

test("a tab whose token function does not answer has its own connection after 20 s", async () => {
  let isFirst = true;
  const { said } = await tab({
    token: () => {
      if (!isFirst) return "t";
      isFirst = false;
      return new Promise(() => {});
    },
  });
  await world.pass(19.9);
  assert.equal(world.sockets.length, 0);
  await world.pass(0.2);
  await world.settled();
  assert.deepEqual([said.of("error").length, world.sockets.length], [1, 1]);
});

test("in any order of what tabs do, each shows every post once and in order", async () => {
  let seed = 11;
  const chance = (most) => (seed = (seed * 48271) % 2147483647) % most;
  for (let round = 0; round < 30; round += 1) {
    begin();
    const tabs = [];
    let newest = 0;
    // The edge: each connection gets everything behind its cursor.
    const serve = () => {
      for (const socket of world.sockets) {
        if (!socket.isOpen) continue;
        if (socket.at === undefined) {
          const from = new URL(socket.url).searchParams.get("cursor");
          socket.at = from === null ? newest : Number(from.slice(1));
          socket.say(welcome(`c${socket.at}`));
        }
        while (socket.isOpen && socket.at < newest) socket.say(created((socket.at += 1)));
      }
    };
    const open = async () => {
      const made = await tab();
      made.channel = [...channels].at(-1);
      tabs.push(made);
    };
    await open();
    serve();
    for (let step = 0; step < 40; step += 1) {
      const one = tabs[chance(tabs.length)];
      const what = chance(9);
      if (what < 3) newest += 1 + chance(3);
      else if (what === 3 && tabs.length < 5) await open();
      else if (what === 4 && one && tabs.length > 1) {
        one.feed.close();
        one.isClosed = true;
        tabs.splice(tabs.indexOf(one), 1);
      } else if (what === 5 && one) one.channel.isFrozen = !one.channel.isFrozen;
      else if (what === 6) await world.pass(1 + chance(40));
      else if (what === 7) world.sockets.filter(({ isOpen }) => isOpen)[0]?.end(1001);
      serve();
      await world.settled();
    }
    for (const { channel } of tabs) channel.isFrozen = false;
    for (let second = 0; second < 90; second += 1) {
      serve();
      await world.pass(1);
    }
    newest += 1;
    serve();
    for (let turn = 0; turn < 6; turn += 1) {
      await world.pass(1);
      serve();
    }
    for (const { said } of tabs) {
      const first = said.ids[0];
      assert.deepEqual(said.ids, Array.from({ length: newest - first + 1 }, (_, index) => first + index), `round ${round}`);
    }
    assert.equal(world.sockets.filter(({ isOpen }) => isOpen).length, 1, `round ${round}`);
    for (const { feed } of tabs) feed.close();
    await world.settled();
  }
});
