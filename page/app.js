// The page: what the address names is looked up and shown; the rest is loaded once.
//
//   #site=www.example.com                            the latest record
//   #site=www.example.com&date=2026-01-02T03:04:05Z  the record of one scan

import { ApiError, get } from "./api.js";
import { card, table } from "./card.js";
import { date, element, notice, visible } from "./dom.js";
import { fileList, filePath, folderOf, overview } from "./files.js";
import { METRICS, plot } from "./plot.js";

const HISTORY = 90;
const result = document.getElementById("result");
const input = document.getElementById("fqdn");
let current = null;
let shownMetric = "score";

/** The host of what a visitor typed or pasted; the text itself where it is no address, for the API to judge. */
function hostOf(text) {
  const trimmed = text.trim();
  try {
    return new URL(trimmed.includes("://") ? trimmed : `http://${trimmed}`).hostname || trimmed;
  } catch {
    return trimmed;
  }
}

function addressOf(site, scanDate = null) {
  const parameters = new URLSearchParams({ site });
  if (scanDate) parameters.set("date", scanDate);
  return `#${parameters}`;
}

async function show() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const site = parameters.get("site");
  current?.abort();
  if (!site) {
    result.hidden = true;
    document.title = "Site audit";
    return;
  }
  current = new AbortController();
  input.value = site;
  document.title = `${visible(site, 60)} – Site audit`;
  result.hidden = false;
  result.replaceChildren(element("p", { class: "quiet" }, `Looking up ${visible(site, 253)} …`));
  await fill(site, parameters.get("date"), current.signal);
}

async function fill(site, scanDate, signal) {
  const [record, history] = await Promise.allSettled([
    scanDate ? get("/api/scanDetails", { FQDN: site, scanDate }, signal) : get("/api/siteDetails", { FQDN: site }, signal),
    get("/api/siteHistory", { FQDN: site, limit: HISTORY }, signal),
  ]);
  if (signal.aborted) return;
  if (record.status === "rejected") {
    result.replaceChildren(failed(record.reason, site));
    return;
  }
  result.replaceChildren(...[scanDate && older(site, scanDate), card(record.value), past(site, history)].filter(Boolean));
  result.focus({ preventScroll: true });
}

function older(site, scanDate) {
  return notice("info", `This is the record of ${date(scanDate, true)}. `,
    element("a", { href: addressOf(site) }, "Show the latest one."));
}

function failed(error, site) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 404) {
    return notice("info", `There is no record of ${visible(site, 253)}. `,
      "Check the spelling, with or without www; only sites on the audited list have one.");
  }
  if (error.status === 400) return notice("bad", visible(error.message), " Enter a name such as www.example.com.");
  return again(error, show);
}

function again(error, action) {
  const button = element("button", { type: "button" }, "Try again");
  button.addEventListener("click", action);
  return notice("bad", visible(error.message), " ", button);
}

function past(site, history) {
  const section = element("section", { class: "card" }, element("h3", {}, "History"));
  if (history.status === "rejected") {
    section.append(failed(history.reason, site));
    return section;
  }
  const results = history.value.results ?? [];
  const figure = element("figure");
  const draw = () => figure.replaceChildren(plot(results, METRICS[shownMetric], (day) => addressOf(site, day)));
  draw();
  section.append(choices(draw), figure, historyTable(site, results));
  return section;
}

function choices(draw) {
  return element("fieldset", { class: "choices" }, element("legend", {}, "Show"),
    Object.entries(METRICS).map(([key, metric]) => {
      const radio = element("input", { type: "radio", name: "metric", value: key, checked: key === shownMetric });
      radio.addEventListener("change", () => {
        shownMetric = key;
        draw();
      });
      return element("label", {}, radio, metric.title);
    }));
}

function historyTable(site, results) {
  const rows = results.map((one) => [
    element("a", { href: addressOf(site, one.scanDate) }, date(one.scanDate, true)),
    one.TLSSiteExist ? "yes" : "no", visible(one.profile ?? "–"), visible(one.daysLeft ?? "–"),
    visible(one.grade ?? "–"), visible(one.failureClass ?? "–"),
  ]);
  return element("details", {}, element("summary", {}, `The scans as a table (${results.length})`),
    table(["Scan", "HTTPS", "Profile", "Days left", "Grade", "Failure"], rows));
}

async function loadFiles() {
  const place = document.getElementById("files");
  try {
    const answer = await get("/api/listScans");
    place.replaceChildren(fileList(answer));
    const [latest] = (answer.files ?? []).map((file) => filePath(file.url)).filter(Boolean);
    if (latest) await loadOverview(`${folderOf(latest)}/run.json`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    place.replaceChildren(again(error, loadFiles));
  }
}

async function loadOverview(path) {
  try {
    const run = await get(path);
    document.getElementById("overview-body").replaceChildren(...overview(run));
    document.getElementById("overview").hidden = false;
  } catch (error) {
    // A scan of an older version has no such file, and the page is whole without it.
    if (!(error instanceof ApiError)) throw error;
  }
}

async function loadNames() {
  try {
    const answer = await get("/api/listFQDNs", { limit: 1000 });
    const options = (answer.results ?? []).map((one) => element("option", { value: visible(one.name, 253) }));
    document.getElementById("names").replaceChildren(...options);
  } catch (error) {
    // Suggestions only help with typing.
    if (!(error instanceof ApiError)) throw error;
  }
}

document.getElementById("look-up").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = addressOf(hostOf(input.value));
  if (location.hash === address) show();
  else location.hash = address;
});
input.addEventListener("focus", loadNames, { once: true });
addEventListener("hashchange", show);
show();
loadFiles();
