// Answers cases with the Observatory's own scan(): one JSON line in, one JSON line out.
// Its retriever is replaced by the case, so that nothing is fetched.
import { register } from "node:module";
import readline from "node:readline";
import { IncomingMessage } from "node:http";
import { AxiosHeaders } from "axios";
import { CookieJar } from "tough-cookie";

const RETRIEVER = `data:text/javascript,${encodeURIComponent(
  "export const retrieve = async () => globalThis.requests;"
)}`;
const HOOKS = `export async function resolve(specifier, context, next) {
  return specifier.endsWith("retriever/retriever.js")
    ? { url: ${JSON.stringify(RETRIEVER)}, shortCircuit: true }
    : next(specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(HOOKS)}`, import.meta.url);

const HOME = "./node_modules/@mdn/mdn-http-observatory/src";
const { scan } = await import(`${HOME}/scanner/index.js`);
const { Requests, HTML_TYPES } = await import(`${HOME}/types.js`);
const { parseHttpEquivHeaders } = await import(`${HOME}/retriever/utils.js`);

function response(answer, extra) {
  const message = new IncomingMessage(null);
  const lines = answer.headers.flat();
  message._addHeaderLines(lines, lines.length); // Node's own rules for repeated headers
  return { headers: AxiosHeaders.from(message.headers), status: answer.status, ...extra };
}

function requestsOf(given) {
  const requests = new Requests(given.hostname);
  const jar = new CookieJar();
  for (const [url, line] of given.cookies) jar.setCookieSync(line, url, { ignoreError: true });
  requests.session = { url: new URL(given.session), jar, redirectHistory: [] };
  const auto = response(given.answer, { verified: true });
  requests.resources.path = given.body;
  auto.httpEquiv =
    HTML_TYPES.has(auto.headers["content-type"]?.split(";")[0]) && given.body
      ? parseHttpEquivHeaders(given.body, given.session)
      : new Map();
  requests.responses.auto = auto;
  requests.responses.cors = response(given.answer, {
    request: { headers: new AxiosHeaders({ Origin: given.origin }) },
  });
  if (given.http) {
    requests.responses.http = response(given.answer, { verified: given.http.verified });
    requests.responses.httpRedirects = given.http.route.map((url) => ({ url: new URL(url), status: 200 }));
  }
  if (given.https) requests.responses.https = response(given.https.answer, { verified: given.https.verified });
  return requests;
}

async function answer(line) {
  try {
    globalThis.requests = requestsOf(JSON.parse(line));
    const { scan: verdict, tests } = await scan(globalThis.requests.hostname);
    const results = Object.fromEntries(
      Object.entries(tests).map(([name, t]) => [name, [t.result, t.pass, t.scoreModifier]])
    );
    return { score: verdict.score, grade: verdict.grade, tests: results };
  } catch (error) {
    return { error: String(error) };
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
process.exit(0);
