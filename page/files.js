// The list of scan files, and the counts of the latest one.

import { className } from "./card.js";
import { date, element, size, visible } from "./dom.js";

const PARTS = [["CSV", "output.csv"], ["JSON lines", "output.jsonl"], ["JSON", "full_output.json"]];

/** Only paths of this site become links: the page trusts no address that data bring along. */
export function filePath(url) {
  return typeof url === "string" && /^\/files\/[\w./-]+$/.test(url) && !url.includes("..") ? url : null;
}

/** The folder beside a zip, where its files lie one by one. */
export const folderOf = (path) => path.replace(/\.zip$/, "");

export function fileList(answer) {
  const files = (answer.files ?? []).filter((file) => filePath(file.url));
  if (files.length === 0) {
    return element("p", { class: "quiet" }, "No scan has been published yet. The first files appear when a scan is done.");
  }
  return element("ul", { class: "files" }, files.map(fileItem));
}

function fileItem(file) {
  const path = filePath(file.url);
  const day = /scan_(\d{4}-\d{2}-\d{2})/.exec(file.fileName)?.[1];
  return element("li", {},
    element("a", { href: path, download: true }, visible(file.fileName, 120)),
    element("span", { class: "quiet" }, [day && date(day), size(file.fileSize)].filter(Boolean).join(", ")),
    element("span", { class: "parts" }, PARTS.map(([title, name]) =>
      element("a", { href: `${folderOf(path)}/${name}`, "aria-label": `${title} of ${day ?? "this scan"}` }, title))));
}

/** Counts by failure class, the sites without a failure first. */
export function overview(run) {
  const counts = Object.entries(run.counts ?? {}).filter(([, count]) => Number.isFinite(count));
  const most = Math.max(1, ...counts.map(([, count]) => count));
  counts.sort(([a, m], [b, n]) => Number(b === "ok") - Number(a === "ok") || n - m);
  return [
    element("p", {}, `${date(run.scanDate, true)}: ${visible(run.records)} of ${visible(run.hosts)} sites have a record`,
      run.partial ? ". The scan was cut short; the missing sites are named in its files." : "."),
    element("ul", { class: "bars" }, counts.map(([name, count]) => bar(name, count, most))),
  ];
}

function bar(name, count, most) {
  const fill = element("span", { class: name === "ok" ? "fill good" : "fill" });
  fill.style.inlineSize = `${(100 * count) / most}%`;
  return element("li", {}, element("span", { class: "name" }, name === "ok" ? "No failure" : className(name)),
    element("span", { class: "bar", "aria-hidden": "true" }, fill), element("span", { class: "count" }, count));
}
