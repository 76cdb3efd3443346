// A world for the client in which the test holds the clock, chance, the network and the page.
import { setMaxListeners } from "node:events";
import { mock } from "node:test";

export class World {
  sockets = [];
  requests = [];
  chance = 0.5;
  mostSockets = 1;
  /** What is heard of the browser: globalThis and the document in one. */
  browser = new EventTarget();

  constructor() {
    mock.timers.reset();
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_700_000_000_000 });
    const { sockets, requests } = this;
    const world = this;
    globalThis.WebSocket = class {
      sent = [];
      isOpen = true;

      constructor(url, protocols) {
        this.url = String(url);
        this.protocols = protocols;
        // The law of all tests here: a tab never has two connections.
        if (sockets.filter((socket) => socket.isOpen).length >= world.mostSockets) throw new Error("too many sockets");
        sockets.push(this);
      }

      send(data) {
        this.sent.push(JSON.parse(data));
      }

      close(code) {
        this.isOpen = false;
        this.closedWith ??= code;
      }

      // What the server does:
      say(...messages) {
        for (const message of messages) this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
      }

      end(code, reason = "") {
        this.isOpen = false;
        this.onclose?.({ code, reason });
      }
    };
    globalThis.fetch = (url, { headers, signal }) =>
      new Promise((resolve, reject) => {
        const request = { url: new URL(url), headers, signal, isOpen: true };
        signal.addEventListener("abort", () => {
          request.isOpen = false;
          reject(signal.reason);
        });
        request.fail = () => {
          request.isOpen = false;
          reject(new TypeError("fetch failed"));
        };
        request.answer = (status, headers = {}, body = "") => {
          request.isOpen = false;
          resolve(new Response(status === 204 ? null : typeof body === "string" ? body : JSON.stringify(body), { status, headers }));
        };
        requests.push(request);
      });
    globalThis.addEventListener = this.browser.addEventListener.bind(this.browser);
    setMaxListeners(0, this.browser);
    this.browser.hidden = false;
    this.browser.baseURI = "https://page.example/";
    globalThis.document = this.browser;
    Math.random = () => this.chance;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get request() {
    return this.requests.at(-1);
  }

  /** Let happen what needs no time. */
  async settled() {
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  }

  /** Let seconds pass. */
  async pass(seconds) {
    mock.timers.tick(Math.round(1000 * seconds));
    await this.settled();
  }

  hear(type) {
    this.browser.dispatchEvent(new Event(type));
  }
}

export const welcome = (cursor, more = {}) => ({ action: "welcome", payload: { recovered: true, cursor, ...more } });
export const created = (id, cursor = `c${id}`) => ({ action: "created", payload: { id }, cursor, window: 5000 });

/** Note what a feed says, in order. */
export function listen(feed) {
  const said = [];
  for (const type of ["post", "gap", "state", "error"])
    feed.addEventListener(type, ({ detail }) => said.push([type, detail]));
  return {
    all: said,
    of: (type) => said.filter(([name]) => name === type).map(([, detail]) => detail),
    get ids() {
      return said.flatMap(([, { post }]) => (post ? [post.id] : []));
    },
    get states() {
      return said.flatMap(([name, { state }]) => (name === "state" ? [state] : []));
    },
  };
}
