// What a user of client.d.ts writes; only tsc reads it. A line that must be wrong is marked, and tsc says if it is not.
import { connect, localStore, parse, type Feed, type Gap, type Item, type Post } from "./client.js";

interface Comment {
  id: bigint | number;
  text: string;
}

const feed: Feed = connect("https://posts.example/", {
  cursor: null,
  history: 20,
  author: [7, 9n, "11"],
  token: async () => "token",
  device: "phone",
  store: localStore("posts"),
  transports: ["websocket", "long-polling"],
  shareTabs: true,
  signal: new AbortController().signal,
});

export async function read(): Promise<string | null> {
  for await (const item of feed) {
    if (item.gap) {
      const { reason, lost }: Gap = item.gap;
      console.log(reason, lost?.records);
      // @ts-expect-error: a gap has no post
      console.log(item.post.id);
    } else {
      const post: Post = item.post;
      console.log(post.description, post.user.username, item.window);
      // @ts-expect-error: it may be a bigint
      const id: number = post.id;
    }
  }
  return feed.cursor;
}

feed.addEventListener("post", ({ detail }) => console.log(detail.post.image_urls.length, detail.cursor));
feed.addEventListener("gap", ({ detail: { gap } }) => console.log(gap.reason));
feed.addEventListener("state", ({ detail }) => console.log(detail.state, detail.code, detail.reason, detail.until));
// @ts-expect-error: there is no such event
feed.addEventListener("posts", () => {});
const session: string | null = feed.session;
feed.reconnect();
feed.close();

const comments = connect<Comment>(new URL("https://comments.example/"));
for await (const { post } of comments) console.log(post?.text);
const items: AsyncIterator<Item<Comment>> = comments[Symbol.asyncIterator]();

// @ts-expect-error: the state is read
feed.state = "live";
// @ts-expect-error: no such transport
connect("/", { transports: ["carrier-pigeon"] });
// @ts-expect-error: no such option
connect("/", { retries: 3 });
// @ts-expect-error: what it is must be looked at
parse("{}").id;

export { items, session };
