// One record as a card: what is wrong and how to mend it first, then the facts.

import { date, element, notice, quoted, visible } from "./dom.js";

const FAULTS = {
  theirs: "for the site's operator",
  ours: "a fault of this audit",
  absent: "there is no such site",
};
const OLD_VERSIONS = new Set(["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"]);
const DAYS_SOON = 30;
const UNKNOWN = Symbol("not known");

/** The card of a record as the API gives it. */
export function card(record) {
  return element("article", { class: "card" },
    element("header", {},
      element("h2", {}, quoted(record.FQDN, 253)),
      element("p", { class: "quiet" }, `Audited ${date(record.scanDate, true)}`, record.ip && " at ", record.ip && quoted(record.ip, 64))),
    verdict(record),
    facts(record),
    failures(record),
    more(record));
}

function verdict(record) {
  if (!record.failureClass) return notice("good", "No failure: every step of the audit succeeded.");
  const first = (record.failures ?? []).find((one) => one.failureClass === record.failureClass);
  const fault = FAULTS[first?.fault];
  return notice(first?.fault === "theirs" ? "bad" : "info", element("strong", {}, className(record.failureClass)),
    fault && ` – ${fault}`, first?.fix && element("br"), first?.fix && visible(first.fix));
}

/** What is known; what is not is named in one line, because "not known" is not "no". */
function facts(record) {
  const headers = record.headers ?? {};
  const all = [
    fact("HTTPS", yesNo(record.TLSSiteExist)),
    fact("Redirects to HTTPS", yesNo(record.TLSRedirect),
      record.TLSRedirect && record.redirectType !== "None" && element("small", {}, visible(record.redirectType))),
    fact("Certificate", certificate(record)),
    fact("Days left", days(record.certificate)),
    fact("TLS versions", versions(record.tls)),
    fact("Mozilla profile", record.tls ? chip(record.tls.profile, profileKind(record.tls.profile)) : UNKNOWN),
    fact("Security headers", headers.grade ? [chip(headers.grade, gradeKind(headers.grade)),
      element("small", {}, `score ${visible(headers.score)}`)] : UNKNOWN),
    fact("IPv6", ipv6(record.dns?.ipv6)),
    fact("Title", record.siteTitle ? quoted(record.siteTitle) : UNKNOWN),
    record.shodan?.status === "found" && fact("Shodan", shodan(record.shodan)),
  ].filter(Boolean);
  const unknowns = all.filter(([, value]) => value === UNKNOWN).map(([name]) => name);
  return [
    element("dl", { class: "facts" }, all.filter(([, value]) => value !== UNKNOWN).map(([name, ...value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, ...value)))),
    unknowns.length > 0 && element("p", { class: "quiet" }, `Not known: ${unknowns.join(", ")}.`),
  ];
}

const fact = (name, ...value) => [name, ...value];

function certificate(record) {
  const report = record.certificate;
  if (!report) return UNKNOWN;
  const issuer = record.certData?.issuer?.commonName ?? record.certData?.issuer?.organizationName;
  const reasons = (report.reasons ?? []).map((one) => className(one.failureClass)).join(", ");
  return [report.valid ? chip("valid", "good") : chip(reasons || "not valid", "bad"),
    issuer && element("small", {}, "by ", quoted(issuer, 80))];
}

function days(report) {
  if (!Number.isFinite(report?.daysLeft)) return UNKNOWN;
  const kind = report.daysLeft < 0 ? "bad" : report.daysLeft <= DAYS_SOON ? "weak" : "good";
  return chip(report.daysLeft < 0 ? `expired ${-report.daysLeft} days ago` : `${report.daysLeft}`, kind);
}

function versions(tls) {
  const spoken = (tls?.versions ?? []).filter((one) => one.supported === "yes").map((one) => one.version);
  if (spoken.length === 0) return tls ? chip("none", "bad") : UNKNOWN;
  return spoken.map((name) => chip(name.replace("TLSv", "TLS "), OLD_VERSIONS.has(name) ? "bad" : "good"));
}

function shodan(answer) {
  const ports = (answer.ports ?? []).slice(0, 20).join(", ");
  return [answer.isp && quoted(answer.isp, 80), ports && element("small", {}, `open ports ${visible(ports)}`)];
}

function failures(record) {
  const all = record.failures ?? [];
  if (all.length === 0) return null;
  return element("section", { class: "failures" }, element("h3", {}, "What was found"),
    element("ul", {}, all.map((one) => element("li", {},
      element("strong", {}, className(one.failureClass)), " ",
      element("small", {}, [one.where || one.stage, FAULTS[one.fault]].filter(Boolean).map((text) => visible(text)).join(", ")),
      one.detail && element("div", { class: "detail" }, quoted(one.detail, 600)),
      element("div", {}, element("span", { class: "fix" }, "How to fix: "), visible(one.fix))))));
}

function more(record) {
  const parts = [judgements(record.headers), suites(record.tls), chain(record.certificate)].filter(Boolean);
  return parts.length ? element("section", { class: "more" }, parts) : null;
}

function judgements(headers) {
  const all = headers?.judgements ?? [];
  return all.length > 0 && folded(`Security headers (${all.length})`, table(["Header", "Verdict", "Why"],
    all.map((one) => [quoted(one.header, 80), chip(one.verdict, verdictKind(one.verdict)), quoted(one.reason)])));
}

function suites(tls) {
  const rows = (tls?.versions ?? []).flatMap((version) => (version.suites ?? []).map((suite) =>
    [visible(version.version), quoted(suite.name, 80), quoted(suite.keyExchange ?? "–", 40)]));
  return rows.length > 0 && folded(`Cipher suites (${rows.length})`, table(["Version", "Suite", "Key exchange"], rows));
}

function chain(report) {
  const all = report?.chain ?? [];
  return all.length > 0 && folded(`Certificate chain (${all.length})`, table(["Subject", "Issuer", "Key", "Until"],
    all.map((one) => [quoted(one.subject, 120), quoted(one.issuer, 120), `${visible(one.keyType)} ${visible(one.keyBits)}`,
      date(one.notAfter)])));
}

function folded(title, content) {
  return element("details", {}, element("summary", {}, title), content);
}

export function table(heads, rows) {
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": heads.join(", ") },
    element("table", {},
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell) => element("td", {}, cell)))))));
}

/** `tls_alert:handshake_failure` → "TLS alert: handshake failure". */
export function className(name) {
  const words = visible(name, 80).replaceAll("_", " ").replace(":", ": ");
  const spoken = words.replace(/\b(dns|http|nxdomain|servfail|tls)\b/g, (word) => word.toUpperCase());
  return spoken.charAt(0).toUpperCase() + spoken.slice(1);
}

export function chip(text, kind) {
  return element("span", { class: `chip ${kind}` }, visible(text, 80));
}

const ipv6 = (answer) => (answer === "yes" ? chip("yes", "good") : answer === "no" ? chip("no", "info") : UNKNOWN);
const yesNo = (answer) => chip(answer ? "yes" : "no", answer ? "good" : "bad");
const profileKind = (name) => ({ modern: "good", intermediate: "good", old: "weak" })[name] ?? "bad";
const gradeKind = (grade) => (/^[AB]/.test(grade) ? "good" : /^C/.test(grade) ? "weak" : "bad");
const verdictKind = (verdict) => ({ good: "good", weak: "weak", bad: "bad", missing: "bad" })[verdict] ?? "info";
