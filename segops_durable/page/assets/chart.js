// A chart of the last hour, drawn as SVG.

const HOUR = 3600;
const HEIGHT = 152;
const NARROW = 380;
const TOP = 8, BOTTOM = 22, LEFT = 46, RIGHT = 8;
const numbers = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 2 });
const times = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// The lowest of 1, 2, 5, 10, … that a value fits below.
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value);
}

export class Chart {
  // names: what the lines are called; first: which value of a point is that of the first line.
  constructor(place, { title, names, first, isArea = false }) {
    Object.assign(this, { title, names, first, isArea, points: [], now: 0, at: null });
    this.figure = document.createElement("figure");
    this.figure.tabIndex = 0;
    this.caption = document.createElement("figcaption");
    for (const [index, name] of names.entries()) {
      const key = document.createElement("span");
      key.className = "key";
      key.dataset.line = index;
      key.textContent = name;
      this.caption.append(key);
    }
    this.readout = document.createElement("span");
    this.readout.className = "readout";
    this.caption.append(this.readout);
    this.svg = svg("svg", { role: "img" });
    this.figure.append(this.caption, this.svg);
    place.append(this.figure);
    this.listen();
  }

  listen() {
    this.svg.addEventListener("pointermove", (event) => {
      const x = event.clientX - this.svg.getBoundingClientRect().left;
      this.point(this.nearest(this.now - HOUR + ((x - LEFT) / this.inner()) * HOUR));
    });
    this.svg.addEventListener("pointerleave", () => this.point(null));
    this.figure.addEventListener("blur", () => this.point(null));
    this.figure.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.points.length) return;
      event.preventDefault();
      const from = this.at === null ? this.points.length : this.nearest(this.at);
      this.point(Math.max(0, Math.min(this.points.length - 1, from + step)));
    });
    new ResizeObserver(() => this.draw(this.points, this.now)).observe(this.svg);
  }

  inner() {
    return Math.max(10, this.svg.clientWidth - LEFT - RIGHT);
  }

  nearest(at) {
    let found = null;
    this.points.forEach((point, index) => {
      if (found === null || Math.abs(point[0] - at) < Math.abs(this.points[found][0] - at)) found = index;
    });
    return found;
  }

  point(index) {
    this.at = index === null ? null : this.points[index][0];
    this.draw(this.points, this.now);
  }

  draw(points, now) {
    Object.assign(this, { points, now });
    const width = this.svg.clientWidth, inner = this.inner();
    const values = points.flatMap((point) => this.names.map((_, index) => point[this.first + index]));
    const highest = roundUp(Math.max(0, ...values));
    const x = (at) => LEFT + Math.max(0, ((at - now) / HOUR + 1) * inner);
    const y = (value) => HEIGHT - BOTTOM - (value / highest) * (HEIGHT - TOP - BOTTOM);
    this.svg.setAttribute("viewBox", `0 0 ${width || 1} ${HEIGHT}`);
    const parts = this.grid(highest, inner, y);
    this.names.forEach((_, index) => parts.push(...this.line(index, x, y)));
    parts.push(...this.unknown(x, inner));
    if (this.at !== null) parts.push(svg("line", { class: "cross", x1: x(this.at), x2: x(this.at), y1: TOP, y2: HEIGHT - BOTTOM }));
    this.svg.replaceChildren(...parts);
    this.tell(values);
  }

  grid(highest, inner, y) {
    const parts = [];
    for (const value of [0, highest / 2, highest]) {
      parts.push(svg("line", { class: "grid", x1: LEFT, x2: LEFT + inner, y1: y(value), y2: y(value) }));
      parts.push(svg("text", { class: "axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, compact.format(value)));
    }
    const marks = [[60, "start"], [45, "middle"], [30, "middle"], [15, "middle"], [0, "end"]];
    for (const [minutes, anchor] of inner < NARROW ? marks.filter(([each]) => each % 30 === 0) : marks) {
      const text = minutes ? `−${minutes} min` : "now";
      parts.push(svg("text", { class: "axis", x: LEFT + (1 - minutes / 60) * inner, y: HEIGHT - 5, "text-anchor": anchor }, text));
    }
    return parts;
  }

  // An hour that is not known whole says since when it is.
  unknown(x, inner) {
    const first = this.points[0]?.[0];
    if (first === undefined || x(first) < LEFT + inner / 2) return [];
    return [svg("text", { class: "axis", x: x(first) - 10, y: HEIGHT / 2 - 22, "text-anchor": "end" }, `known since ${times.format(new Date(first * 1000))}`)];
  }

  line(index, x, y) {
    const places = this.points.map((point) => `${x(point[0]).toFixed(1)} ${y(point[this.first + index]).toFixed(1)}`);
    if (!places.length) return [];
    const parts = [];
    if (this.isArea && index === 0) {
      const last = x(this.points.at(-1)[0]), start = x(this.points[0][0]);
      parts.push(svg("path", { class: "area", d: `M${places.join("L")}L${last.toFixed(1)} ${y(0)}L${start.toFixed(1)} ${y(0)}Z` }));
    }
    parts.push(svg("path", { class: "line", "data-line": index, d: `M${places.join("L")}` }));
    return parts;
  }

  tell(values) {
    const shown = this.at === null ? null : this.points[this.nearest(this.at)];
    const said = shown && this.names.map((name, index) => `${name} ${numbers.format(shown[this.first + index])}`).join(", ");
    this.readout.textContent = shown ? `${times.format(new Date(shown[0] * 1000))}: ${said}` : "";
    const last = this.points.at(-1);
    const now = last ? this.names.map((name, index) => `${name} now ${numbers.format(last[this.first + index])}`).join(", ") : "nothing is known yet";
    this.svg.setAttribute("aria-label", `${this.title} in the last hour: ${now}; at most ${numbers.format(Math.max(0, ...values))}`);
    this.figure.setAttribute("aria-label", said ? this.readout.textContent : `${this.title}; the arrow keys read its points`);
    this.figure.setAttribute("role", "group");
  }
}
