// The page: it shows posts by window, and what their way to the screen was like.

import { connect } from "../client.js";

// How many posts to ask for at first, and to keep on the page: enough to scroll through, little for a browser to keep.
const HISTORY = 30;
const SHOWN = 200;
// How many ids to remember, to be able to say that none came twice.
const REMEMBERED = 5000;
// How often the edge is asked for its figures: each page this often, and all pages together at most so often a second.
const STATUS_SECONDS = 5;
const STATUS_A_SECOND = 50;
const STATUS_PATIENCE_MS = 2000;
// How many windows the small chart shows.
const COLUMNS = 24;
// What follows a welcome without a pause of so long is what the page has missed.
const BURST_MS = 400;
// A screen reader says how many posts are new at most this often.
const ANNOUNCED_SECONDS = 15;
// How long "Drop my connection" stays away: more than a window, so that there is something to catch up with.
const AWAY_WINDOWS = 1.6;
const SCROLLED_PIXELS = 240;

const GAPS = {
  invalid: "The edge could not read the place where this page left off.",
  expired: "This page was away for longer than the edge remembers.",
  recreated: "The feed was made anew while this page was away.",
  unknown: "The edge does not know the place where this page left off: the feed was probably made anew.",
  interrupted: "The edge itself lost touch with the feed for a while.",
};

const get = (id) => document.getElementById(id);
const page = {
  posts: get("posts"), empty: get("empty"), stateText: get("state-text"), countdown: get("countdown"), now: get("now"),
  state: get("state"), window: get("window"), windowFrom: get("window-from"), windowTo: get("window-to"),
  windowText: get("window-text"), columnsAbout: get("columns-about"), columns: get("columns"), rate: get("rate"),
  viewers: get("viewers"), age: get("age"), drop: get("drop"), pause: get("pause"), cursor: get("cursor"),
  composer: get("composer"), text: get("text"), picture: get("picture"), published: get("published"),
  newer: get("newer"), announcer: get("announcer"), fills: document.querySelectorAll(".fill"),
};
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

// --- Words ---

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function duration(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : plural(Math.round(hours / 24), "day");
}

function ago(ms) {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  if (seconds < 1) return "now";
  return `${seconds < 60 ? `${seconds} s` : duration(1000 * Math.max(60, seconds - 29))} ago`;
}

function timeOfDay(ms) {
  const at = new Date(ms);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const isToday = at.toDateString() === new Date(now()).toDateString();
  return isToday ? time : `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

function element(name, look, text) {
  const made = document.createElement(name);
  if (look) made.className = look;
  if (text !== undefined) made.textContent = text;
  return made;
}

// --- The edge's clock and figures ---

// The edge's clock less this machine's, taken from the answer with the shortest way.
const clock = { offset: 0, trip: Infinity };
let windowMs = null;
let composeUrl = null;

function now() {
  return Date.now() + clock.offset;
}

let statusTimer = null;
let askedAt = 0;
let statusSeconds = STATUS_SECONDS;

/** Ask now where that is due, and again when it is due; not while nobody looks, or the edge is away. */
function keepAsking() {
  clearTimeout(statusTimer);
  if (document.hidden || state.name !== "live") return;
  const due = askedAt + 1000 * statusSeconds - Date.now();
  if (due <= 0) askStatus();
  statusTimer = setTimeout(keepAsking, due > 0 ? due : 1000 * statusSeconds * (0.9 + 0.2 * Math.random()));
}

async function askStatus() {
  const asked = (askedAt = Date.now());
  try {
    const response = await fetch("status.json", { signal: AbortSignal.timeout(STATUS_PATIENCE_MS) });
    if (!response.ok) return;
    const status = await response.json();
    const trip = Date.now() - asked;
    if (trip <= clock.trip) Object.assign(clock, { trip, offset: status.time - (asked + trip / 2) });
    page.rate.textContent = status.posts_per_second.toFixed(1);
    page.viewers.textContent = status.viewers.toLocaleString();
    statusSeconds = Math.max(STATUS_SECONDS, status.viewers / STATUS_A_SECOND);
    windowMs = 1000 * status.window_seconds;
    page.columnsAbout.textContent = `posts by window, the last ${duration(COLUMNS * windowMs)}`;
    page.window.hidden = false;
    offerComposer(status.compose_url);
  } catch {
    // The connection says that the edge is away; the figures stay what they were.
  }
}

// --- The current window ---

// How many posts the newest windows have, by their start; Map keeps the order in which they came.
const counts = new Map();

function count(start) {
  counts.set(start, (counts.get(start) ?? 0) + 1);
  if (counts.size > 4 * COLUMNS) counts.delete(counts.keys().next().value);
}

function drawColumns(slot) {
  const starts = Array.from({ length: COLUMNS }, (_, index) => (slot - COLUMNS + 1 + index) * windowMs);
  const most = Math.max(5, ...starts.map((start) => counts.get(start) ?? 0));
  while (page.columns.childElementCount < COLUMNS) page.columns.append(element("div"));
  starts.forEach((start, index) => {
    page.columns.children[index].style.setProperty("--height", (counts.get(start) ?? 0) / most);
  });
}

let drawnSlot = null;

function drawWindow() {
  if (windowMs === null || document.hidden) return;
  const slot = Math.floor(now() / windowMs);
  const passed = now() - slot * windowMs;
  const isNew = slot !== drawnSlot;
  if (isNew) {
    drawnSlot = slot;
    page.windowFrom.textContent = timeOfDay(slot * windowMs);
    page.windowTo.textContent = timeOfDay((slot + 1) * windowMs);
    drawColumns(slot);
  }
  const share = passed / windowMs;
  for (const fill of page.fills) {
    // An emptied bar does not run backwards.
    fill.classList.toggle("emptied", isNew);
    fill.style.setProperty("--share", isCalm.matches ? Math.ceil(5 * share) / 5 : share);
  }
  page.windowText.textContent = `closes in ${duration(windowMs - passed)}`;
}

// --- Posts ---

const seen = new Set();
// What comes while the page is paused: posts, and the gaps between them.
const held = [];
let isPaused = false;
let unread = 0;
let repeats = 0;
let unannounced = 0;
let announcedAt = 0;
// What the page catches up with: null when it is at the feed's end.
let catching = null;

function receive(post, { window }) {
  const isRepeat = seen.has(post.id);
  repeats += isRepeat;
  seen.add(post.id);
  if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
  const arrival = { post, window, at: now(), isLive: isLive(window) };
  if (catching !== null && !isRepeat) catching.posts += 1;
  if (isPaused) hold(arrival);
  else show(arrival);
  showCursorSoon();
}

function hold(arrival) {
  held.push(arrival);
  // A gap stays, whichever posts before it do not.
  if (heldPosts() > SHOWN) held.splice(held.findIndex(({ post }) => post), 1);
  showPause();
}

function showHeld() {
  for (const arrival of held.splice(0)) {
    if (arrival.gap) note(arrival.gap, "gap");
    else show(arrival);
  }
}

function heldPosts() {
  return held.filter(({ post }) => post).length;
}

function isLive(window) {
  if (catching === null) return true;
  if (window !== undefined && windowMs !== null && window + windowMs > catching.since) {
    caughtUp();
    return true;
  }
  clearTimeout(catching.timer);
  catching.timer = setTimeout(caughtUp, BURST_MS);
  return false;
}

function show({ post, window, at, isLive: isLiveOne }) {
  const start = window ?? (windowMs === null ? undefined : Math.floor(at / windowMs) * windowMs - windowMs);
  const item = postItem(post, at, isLiveOne);
  let group = page.posts.querySelector(":scope > .group");
  const top = page.posts.querySelector(":scope > .group, :scope > .note");
  if (group === null || group !== top || group.dataset.window !== String(start)) group = addGroup(start, at, isLiveOne);
  group.querySelector("ol").prepend(item);
  const posts = group.querySelector("ol").childElementCount;
  group.querySelector(".count").textContent = plural(posts, "post");
  if (start !== undefined) count(start);
  if (drawnSlot !== null) drawColumns(drawnSlot);
  page.empty.hidden = true;
  trim();
  if (isLiveOne) {
    page.age.textContent = duration(at - Date.parse(post.created_at));
    tellNew();
  }
  noticeOwn(post, item, at);
}

function addGroup(start, at, isLiveOne) {
  const group = element("section", "group");
  group.dataset.window = String(start);
  const heading = element("h2", "divider");
  if (start !== undefined) {
    const end = start + (windowMs ?? 0);
    const time = element("time", "", timeOfDay(end));
    time.dateTime = new Date(end).toISOString();
    heading.append(time);
  }
  heading.append(element("span", "count"));
  if (isLiveOne && windowMs !== null && start !== undefined) {
    const delay = element("span", "delay");
    delay.append(element("span", "wide", "on your screen "), `${duration(at - start - windowMs)} after the window`);
    heading.append(delay);
  }
  group.append(heading, element("ol"));
  page.posts.prepend(group);
  return group;
}

function trim() {
  let posts = page.posts.querySelectorAll(".post").length;
  while (posts > SHOWN) {
    const last = page.posts.lastElementChild;
    last.querySelector(".post:last-child")?.remove();
    posts -= 1;
    if (last.querySelector(".post") === null) last.remove();
  }
}

function postItem(post, at, isLiveOne) {
  const item = element("li", "post");
  item.dataset.id = post.id;
  const face = element("span", `face hue-${BigInt(post.user.id) % 8n}`, [...post.user.username][0]?.toUpperCase() ?? "");
  face.setAttribute("aria-hidden", "true");
  const by = element("p", "by");
  const written = Date.parse(post.created_at);
  const time = element("time", "", ago(now() - written));
  time.dateTime = post.created_at;
  time.title = new Date(written).toLocaleString();
  by.append(element("span", "name", post.user.username), time);
  if (isLiveOne) by.append(element("span", "age", `${duration(at - written)} to your screen`));
  item.append(face, by);
  if (post.description) {
    const text = element("p", "text", post.description);
    text.dir = "auto";
    item.append(text);
  }
  // A key without a base URL is nothing that a reader could use.
  const urls = post.image_urls.filter((url) => /^https?:\/\//i.test(url));
  if (urls.length) {
    const pictures = element("div", "pictures");
    pictures.append(...urls.map(picture));
    item.append(pictures);
  }
  if (post.likes_count) item.append(element("p", "likes", plural(post.likes_count, "like")));
  return item;
}

function picture(url) {
  const made = element("img");
  // A picture that is not there (yet) leaves no hole.
  made.addEventListener("error", () => made.remove());
  made.loading = "lazy";
  made.alt = "Picture";
  made.referrerPolicy = "no-referrer";
  made.src = url;
  return made;
}

function note(text, look = "") {
  page.posts.prepend(element("p", `note ${look}`, text));
  page.empty.hidden = true;
  page.announcer.textContent = text;
}

// --- What is new ---

function tellNew() {
  unannounced += 1;
  if (document.hidden || scrollY > SCROLLED_PIXELS) unread += 1;
  showUnread();
}

function announce() {
  if (unannounced === 0 || document.hidden || Date.now() - announcedAt < 1000 * ANNOUNCED_SECONDS) return;
  page.announcer.textContent = plural(unannounced, "new post");
  announcedAt = Date.now();
  unannounced = 0;
}

function showUnread() {
  const all = unread + heldPosts();
  document.title = all ? `(${all}) Postcast` : "Postcast";
  page.newer.hidden = unread === 0 || scrollY <= SCROLLED_PIXELS;
  page.newer.textContent = `↑ ${plural(unread, "new post")}`;
}

function readAll() {
  if (document.hidden || scrollY > SCROLLED_PIXELS || unread === 0) return;
  unread = 0;
  showUnread();
}

function showPause() {
  page.pause.setAttribute("aria-pressed", String(isPaused));
  const posts = heldPosts();
  page.pause.textContent = isPaused ? `Go on${posts ? ` (${posts} new)` : ""}` : "Pause";
  showUnread();
}

// --- The connection ---

// Where the page stands: the client's states, and "dropped", which is the page's own.
let state = { name: "connecting" };
let feed = null;
let hasBeenLive = false;
let returning = null;

/** Follow the feed, from a cursor on or with some history. */
function follow(cursor = null) {
  const followed = (feed = connect(location.pathname, { history: HISTORY, cursor }));
  followed.addEventListener("state", ({ detail: { state: name, ...more } }) => {
    if (followed === feed) onState({ name, ...more });
  });
  followed.addEventListener("gap", ({ detail: { gap } }) => onGap(gap));
  followed.addEventListener("post", ({ detail: { post, window } }) => receive(post, { window }));
}

/** Close the connection, and come back after some seconds with the cursor that there is. */
function drop(seconds) {
  const { cursor } = feed;
  const followed = feed;
  feed = null;
  followed.close();
  returning = { cursor, timer: setTimeout(comeBack, 1000 * seconds) };
  onState({ name: "dropped", until: Date.now() + 1000 * seconds });
}

function comeBack() {
  if (returning === null) {
    feed.reconnect();
    return;
  }
  const { cursor, timer } = returning;
  clearTimeout(timer);
  returning = null;
  onState({ name: "connecting" });
  follow(cursor);
}

function onState(entered) {
  if (entered.name === "live") beginCatching({ isFirst: !hasBeenLive });
  hasBeenLive ||= entered.name === "live";
  state = entered;
  showState();
  if (state.name === "live") {
    // Another edge, or one viewer more: where few ask, ask again.
    if (statusSeconds === STATUS_SECONDS && Date.now() - askedAt > 1000) askedAt = 0;
    keepAsking();
  }
  showCountdown();
  showCursorSoon();
}

function showState() {
  const isAway = state.name === "waiting" || state.name === "dropped";
  const sentence = {
    connecting: "Connecting…",
    live: "Live",
    waiting: navigator.onLine ? "Not connected." : "You are offline.",
    dropped: "Dropped.",
    closed: `Closed by the server: ${state.reason || `code ${state.code}`}`,
  }[state.name];
  if (page.stateText.textContent !== sentence) page.stateText.textContent = sentence;
  page.state.className = isAway ? "waiting" : state.name;
  page.now.hidden = !isAway;
  page.drop.disabled = state.name !== "live";
}

function showCountdown() {
  if (state.until === undefined) {
    page.countdown.textContent = "";
    return;
  }
  const seconds = Math.max(0, Math.ceil((state.until - Date.now()) / 1000));
  page.countdown.textContent = state.name === "dropped" ? `Back in ${seconds} s` : `Trying again in ${seconds} s`;
}

/** What comes next is what was missed; `isFirst`: it is history. */
function beginCatching({ isFirst, isWhole = true }) {
  if (catching !== null) clearTimeout(catching.timer);
  catching = { since: now(), posts: 0, isFirst, isWhole };
  catching.timer = setTimeout(caughtUp, BURST_MS);
  repeats = 0;
}

function onGap({ reason }) {
  beginCatching({ isFirst: false, isWhole: false });
  const gap = `${GAPS[reason] ?? "The feed was interrupted."} Posts may be missing here.`;
  if (isPaused) hold({ gap });
  else note(gap, "gap");
}

function caughtUp() {
  const { since, posts, isFirst, isWhole, timer } = catching;
  clearTimeout(timer);
  catching = null;
  if (isFirst || !isWhole || isPaused) return;
  const missed = posts ? `${plural(posts, "post")} caught up` : "nothing was missed";
  const twice = repeats ? `, ${repeats} of them twice` : posts ? ", none twice" : "";
  note(`Resumed at ${timeOfDay(since)}: ${missed}${twice}.`);
}

function showCursor() {
  page.cursor.textContent = (feed ?? returning)?.cursor ?? "–";
}

let cursorTimer = null;

function showCursorSoon() {
  cursorTimer ??= setTimeout(() => {
    cursorTimer = null;
    showCursor();
  });
}

// --- Publishing ---

// When a post was published here, by its id.
const own = new Map();
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

function offerComposer(url) {
  if (!url || composeUrl !== null) return;
  // An address of this machine is of no use to a page on another one.
  if (LOOPBACK.has(new URL(url).hostname) && !LOOPBACK.has(location.hostname)) return;
  composeUrl = url;
  page.composer.hidden = false;
}

async function publish() {
  const at = now();
  page.published.classList.remove("about");
  page.published.textContent = "Publishing…";
  try {
    const response = await fetch(composeUrl, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: page.text.value, picture: page.picture.checked }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    page.text.value = "";
    page.published.textContent = `Post ${answer.id} is written and announced. It is shown when its window closes.`;
    const shown = page.posts.querySelector(`[data-id="${answer.id}"]`);
    own.set(answer.id, at);
    if (shown) noticeOwn(answer, shown, now());
  } catch (error) {
    page.published.textContent = `It was not published: ${error.message}`;
  }
}

function noticeOwn(post, item, at) {
  const published = own.get(post.id);
  if (published === undefined) return;
  own.delete(post.id);
  item.classList.add("own");
  page.published.textContent = `Post ${post.id} was shown to everyone ${duration(at - published)} after you published it.`;
}

// --- What a person does, and what time does ---

page.now.addEventListener("click", comeBack);
page.drop.addEventListener("click", () => drop(AWAY_WINDOWS * ((windowMs ?? 5000) / 1000)));
page.pause.addEventListener("click", () => {
  isPaused = !isPaused;
  if (!isPaused) showHeld();
  showPause();
});
page.newer.addEventListener("click", () => scrollTo({ top: 0, behavior: isCalm.matches ? "auto" : "smooth" }));
page.composer.addEventListener("submit", (event) => {
  event.preventDefault();
  publish();
});
page.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) page.composer.requestSubmit();
});
addEventListener("scroll", () => {
  readAll();
  showUnread();
}, { passive: true });
addEventListener("online", showState);
addEventListener("offline", showState);
document.addEventListener("visibilitychange", () => {
  readAll();
  keepAsking();
});
setInterval(drawWindow, 100);
setInterval(() => {
  if (document.hidden) return;
  showCountdown();
  // A heartbeat moves it without a post.
  showCursor();
  announce();
  for (const time of page.posts.querySelectorAll(".by time")) time.textContent = ago(now() - Date.parse(time.dateTime));
}, 1000);
// The first answer says how long a window is, by which posts are told apart; without it the page goes on all the same.
askStatus().finally(() => follow());
