// Firefox, driven over WebDriver BiDi: node firefox.cjs FOLDER PROGRAM, where FOLDER holds node_modules. Each line of its
// standard input is a request {id, page, call, text}, each of its output an answer {id, value} or {id, error}. Ends with
// its standard input, and so with whoever started it.
const readline = require("node:readline");

const [folder, executablePath] = process.argv.slice(2);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const pages = new Map();

async function main() {
  const { default: puppeteer } = await import(require.resolve("puppeteer-core", { paths: [folder] }));
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
  const calls = {
    open: async (page) => void pages.set(page, await browser.newPage()),
    goto: async (page, url) => void (await pages.get(page).goto(url)),
    evaluate: (page, expression) => pages.get(page).evaluate(expression),
    close: async (page) => void (await pages.get(page).close()),
  };
  print({ id: 0, value: await browser.version() });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { id, page, call, text } = JSON.parse(line);
    calls[call](page, text).then(
      (value) => print({ id, value: value ?? null }),
      (error) => print({ id, error: String(error) }),
    );
  }
  await browser.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
