// Types of client.js, a client of Postcast's feed. What all of it means is in docs/javascript.md.

/** A post, as the edge shows it. An integer above 2^53 - 1 is a bigint. */
export interface Post {
  id: number | bigint;
  description: string;
  /** RFC 3339, in UTC. */
  created_at: string;
  user: { id: number | bigint; username: string };
  is_liked: boolean;
  image_urls: string[];
  likes_count: number;
}

/** Why posts may be missing; there will be more reasons. */
export type GapReason = "invalid" | "expired" | "recreated" | "unknown" | "interrupted" | (string & {});

export interface Gap {
  reason: GapReason;
  /** How much was lost, where the edge knows it. */
  lost?: { records: number };
}

export interface PostItem<P = Post> {
  post: P;
  gap?: undefined;
  /** The position behind the post. */
  cursor: string;
  /** When the window of the post began, in milliseconds since 1970; undefined where the edge does not say it. */
  window?: number;
}

/** Here posts may be missing; what follows is the feed from `cursor` on. */
export interface GapItem {
  gap: Gap;
  post?: undefined;
  cursor: string;
}

export type Item<P = Post> = PostItem<P> | GapItem;

export type State = "connecting" | "live" | "waiting" | "closed";

export interface StateDetail {
  state: State;
  /** The close code of the connection that ended; undefined where nothing ended, or `close` did it. */
  code?: number;
  reason?: string;
  /** When the next attempt is made, in milliseconds of Date.now(). */
  until?: number;
  /** Whether the edge has asked for this wait. */
  isAsked?: boolean;
  /** When it is live: the connection's name in the edge's log; undefined while it polls. */
  session?: string;
}

/** Where a cursor is kept from one visit to the next. */
export interface Store {
  /** When it fails it is asked again some seconds later; the feed does not begin before it answers. */
  get(): string | null | undefined | Promise<string | null | undefined>;
  /** One call at a time. When it fails it is called again a second later, with the newest cursor. */
  set(cursor: string): unknown;
}

export type Transport = "websocket" | "long-polling";

export type Author = number | bigint | string;

export interface Options {
  /** Resume here. Goes before `store`. */
  cursor?: string | null;
  /** How many of the latest posts to begin with where there is no cursor; 0 unless set. */
  history?: number;
  /** Show posts of these authors alone. An empty array or string is refused with a TypeError. */
  author?: Author | readonly Author[];
  /** A token, or what returns one: asked at each connect, and when the edge says that the token expires. */
  token?: string | null | (() => string | null | undefined | Promise<string | null | undefined>);
  /**
   * A name under which the edge keeps the position, where it keeps positions. Without a cursor such a feed does not poll;
   * with `transports` that have long-polling alone it is refused with a TypeError.
   */
  device?: string;
  store?: Store;
  /** What to try, in this order; all unless set. */
  transports?: readonly Transport[];
  /** Have one connection for all tabs that see the same. Browsers allow that to pages of HTTPS and of localhost alone. */
  shareTabs?: boolean;
  /** Closes the feed when it is aborted. */
  signal?: AbortSignal;
}

export interface FeedEvents<P = Post> {
  post: CustomEvent<PostItem<P>>;
  gap: CustomEvent<GapItem>;
  state: CustomEvent<StateDetail>;
  /** The token function or the store has failed. */
  error: CustomEvent<unknown>;
}

export interface Feed<P = Post> extends EventTarget, AsyncIterable<Item<P>> {
  readonly state: State;
  /** The newest connection's name in the edge's log: quote it to the operator. Null before there is one, and while it polls. */
  readonly session: string | null;
  /** The position behind the last item that was handled. */
  readonly cursor: string | null;
  /** Connect now, without waiting. */
  reconnect(): void;
  /** End for good. */
  close(): void;
  addEventListener<K extends keyof FeedEvents<P>>(
    type: K,
    listener: ((event: FeedEvents<P>[K]) => unknown) | { handleEvent(event: FeedEvents<P>[K]): unknown } | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof FeedEvents<P>>(
    type: K,
    listener: ((event: FeedEvents<P>[K]) => unknown) | { handleEvent(event: FeedEvents<P>[K]): unknown } | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** Follow the feed of the edge at `url`, which may be relative to the page. */
export function connect<P = Post>(url: string | URL, options?: Options): Feed<P>;

/** A store that keeps the cursor in the browser's localStorage, under `name`. */
export function localStore(name: string): Store;

/** Parse JSON; an integer above 2^53 - 1 in size becomes a bigint. */
export function parse(text: string): unknown;
