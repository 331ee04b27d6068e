// The history of a site as a plot, made by hand: a line, a point a scan, each point a link to its record.

import { date, element, shape } from "./dom.js";

const WIDTH = 680;
const HEIGHT = 220;
const LEFT = 44;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 30;
const TICKS = 4;

const whole = (value) => (Number.isFinite(value) ? value : null);

/** What can be plotted: how to read it, its scale, and how to say a value. */
export const METRICS = {
  score: { title: "Header score", read: (one) => whole(one.score), floor: 0, ceiling: 100, say: (value) => `${value}` },
  days: { title: "Days left of the certificate", read: (one) => whole(one.daysLeft), floor: 0, ceiling: 30,
          say: (value) => `${value} days` },
  tls: { title: "HTTPS", read: (one) => (typeof one.TLSSiteExist === "boolean" ? Number(one.TLSSiteExist) : null),
         floor: 0, ceiling: 1, ticks: [0, 1], say: (value) => (value ? "yes" : "no") },
  redirect: { title: "Redirects to HTTPS",
              read: (one) => (typeof one.TLSRedirect === "boolean" ? Number(one.TLSRedirect) : null),
              floor: 0, ceiling: 1, ticks: [0, 1], say: (value) => (value ? "yes" : "no") },
};

/** The plot of `results` (newest first, as the API gives them); `link` makes a point's address. */
export function plot(results, metric, link) {
  const points = results
    .map((one) => ({ time: Date.parse(one.scanDate), scanDate: one.scanDate, value: metric.read(one) }))
    .filter((point) => Number.isFinite(point.time))
    .sort((a, b) => a.time - b.time);
  const known = points.filter((point) => point.value !== null);
  if (known.length === 0) return element("p", { class: "quiet" }, `${metric.title}: not known at any of these dates.`);
  const place = scales(points, known, metric);
  return shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "group",
                        "aria-label": `${metric.title} by scan` },
    grid(place, metric), dates(points, place), line(points, place), known.map((point) => dot(point, place, metric, link)));
}

function scales(points, known, metric) {
  const values = known.map((point) => point.value);
  const low = Math.min(metric.floor, ...values);
  const high = Math.max(metric.ceiling, ...values);
  const first = points[0].time;
  const span = points[points.length - 1].time - first;
  return {
    low,
    high,
    // A single scan stands in the middle.
    x: (time) => LEFT + (WIDTH - LEFT - RIGHT) * (span ? (time - first) / span : 0.5),
    y: (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low)),
  };
}

function grid(place, metric) {
  const even = Array.from({ length: TICKS + 1 }, (_, step) => place.low + ((place.high - place.low) * step) / TICKS);
  return (metric.ticks ?? even).map((value) => [
    shape("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: place.y(value), y2: place.y(value) }),
    shape("text", { class: "tick", x: LEFT - 8, y: place.y(value) + 4, "text-anchor": "end" },
      metric.ticks ? metric.say(value) : String(Math.round(value))),
  ]).flat();
}

function dates(points, place) {
  const ends = points.length > 1 ? [points[0], points[points.length - 1]] : [points[0]];
  return ends.map((point, index) => shape("text", {
    class: "tick", x: place.x(point.time), y: HEIGHT - 8,
    "text-anchor": ends.length === 1 ? "middle" : index === 0 ? "start" : "end",
  }, date(point.scanDate)));
}

/** One stroke over neighbours that are both known: a gap stays a gap. */
function line(points, place) {
  let down = false;
  const path = points.map((point) => {
    const step = point.value === null ? "" : `${down ? "L" : "M"}${place.x(point.time)} ${place.y(point.value)}`;
    down = point.value !== null;
    return step;
  }).join("");
  return shape("path", { class: "line", d: path });
}

function dot(point, place, metric, link) {
  const said = `${date(point.scanDate, true)}: ${metric.title} ${metric.say(point.value)}`;
  return shape("a", { href: link(point.scanDate), "aria-label": said },
    shape("title", {}, said),
    shape("circle", { class: "reach", cx: place.x(point.time), cy: place.y(point.value), r: 12 }),
    shape("circle", { class: "dot", cx: place.x(point.time), cy: place.y(point.value), r: 4 }));
}
