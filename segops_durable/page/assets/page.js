// What both pages have in common: the stream, the figures, the lists.
// Whatever comes is put into the page as text, never as HTML.

import { Chart } from "./chart.js";

const SILENT_MS = 15_000; // the stream says something each 5 seconds
const LONGEST_WAIT_MS = 15_000;
const LISTED = 100;

const numbers = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const times = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dates = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export const byId = (id) => document.getElementById(id);

export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function timeElement(seconds) {
  const moment = new Date(seconds * 1000);
  const made = element("time", isToday(moment) ? times.format(moment) : dates.format(moment));
  made.dateTime = moment.toISOString();
  return made;
}

function isToday(moment) {
  return moment.toDateString() === new Date().toDateString();
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} days`;
}

export function count(number, one, many = `${one}s`) {
  return `${numbers.format(number)} ${number === 1 ? one : many}`;
}

// A list whose lines are known by their ids, newest first; no more of them than can be read.
export class Lines {
  constructor(list, none, make, most = LISTED) {
    Object.assign(this, { list, none, make, most, isHeld: false, lines: new Map(), shown: new Map() });
  }

  forget() {
    this.lines.clear();
  }

  add(lines) {
    for (const line of lines) this.lines.set(line.id, line);
    const ids = [...this.lines.keys()].sort((a, b) => b - a);
    for (const id of ids.slice(this.most)) this.lines.delete(id);
    this.show();
  }

  show() {
    if (this.isHeld) return;
    const ids = [...this.lines.keys()].sort((a, b) => b - a);
    for (const [id, known] of this.shown) {
      if (this.lines.get(id) !== known.line) {
        known.item.remove();
        this.shown.delete(id);
      }
    }
    let before = this.list.firstElementChild;
    for (const id of ids) {
      let known = this.shown.get(id);
      if (!known) {
        known = { line: this.lines.get(id), item: this.make(this.lines.get(id)) };
        this.shown.set(id, known);
        this.list.insertBefore(known.item, before);
      } else {
        before = known.item.nextElementSibling;
      }
    }
    this.none.hidden = ids.length > 0;
  }
}

export function lineItem(line) {
  const item = element("li");
  const fate = element("span", line.fate, "fate");
  fate.dataset.fate = line.fate;
  const what = element("span", "", "what");
  what.append(element("b", line.kind || "(no type)"), " ", element("span", line.user, "user"));
  item.append(fate, " ", what, " ", timeElement(line.at));
  if (line.text) item.append(element("code", line.text, "text"));
  if (line.words) item.append(element("span", line.words, "words"));
  return item;
}

export class Page {
  constructor({ charts, heed = () => {}, refused = () => {}, headers = () => ({}) }) {
    Object.assign(this, { heed, refused, headers, nextAt: null, ahead: 0, link: null });
    this.charts = charts.map((each) => new Chart(byId("charts"), each));
    this.points = [];
    this.events = new Lines(byId("event-lines"), byId("no-events"), lineItem);
    byId("hold").addEventListener("click", () => this.hold());
    // a page that nobody sees asks for nothing
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    setInterval(() => this.showNext(), 1000);
    if (!document.hidden) this.open();
  }

  hold() {
    this.events.isHeld = !this.events.isHeld;
    byId("hold").setAttribute("aria-pressed", String(this.events.isHeld));
    byId("hold").textContent = this.events.isHeld ? "Go on" : "Hold";
    this.events.show();
  }

  close() {
    this.link?.abort();
    this.link = null;
  }

  open() {
    this.close();
    this.link = new AbortController();
    this.follow(this.link);
  }

  async follow(link) {
    let wait = 0;
    while (!link.signal.aborted) {
      try {
        if (await this.read(link)) wait = 0; // it ended as it should: the server asks for a new one
        else return;
      } catch (error) {
        if (link.signal.aborted) return;
        wait = Math.min(LONGEST_WAIT_MS, wait * 2 || 500);
        this.say("lost", `no connection; what is shown is of ${times.format(this.toldAt ?? new Date())}`);
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  // Reads one stream to its end. False if there is nothing to be read with these headers.
  async read(link) {
    const silence = new AbortController();
    const giveUp = () => silence.abort();
    let timer = setTimeout(giveUp, SILENT_MS);
    link.signal.addEventListener("abort", giveUp, { once: true });
    try {
      const answer = await fetch("page/stream", {
        headers: this.headers(), signal: silence.signal, cache: "no-store", credentials: "omit",
      });
      if (answer.status === 401) {
        this.refused();
        return false;
      }
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        clearTimeout(timer);
        if (done) return true;
        timer = setTimeout(giveUp, SILENT_MS);
        const parts = (rest + value).split("\n\n");
        rest = parts.pop();
        parts.forEach((part) => this.take(part));
      }
    } finally {
      clearTimeout(timer);
      link.signal.removeEventListener("abort", giveUp);
    }
  }

  take(text) {
    const fields = new Map(text.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
    if (!fields.has("data")) return;
    const told = JSON.parse(fields.get("data"));
    this.toldAt = new Date();
    this.say("open", "live");
    if (fields.get("event") === "trouble") this.showState("trouble", told.sentence, "", null);
    else this.show(told, fields.get("event") === "whole");
  }

  show(told, isWhole) {
    this.ahead = told.at - Date.now() / 1000;
    this.showState(told.state, told.sentence, told.details ?? "", told.next_at);
    this.showFigures(told.figures);
    this.points = [...(isWhole ? [] : this.points), ...told.points].filter(([at]) => at > told.at - 3600);
    const points = told.live ? [...this.points, told.live] : this.points;
    this.charts.forEach((chart) => chart.draw(points, told.at));
    if (told.events) {
      if (isWhole) this.events.forget();
      this.events.add(told.events);
      this.showUnlisted(told.unlisted);
    }
    this.heed(told, isWhole);
  }

  showState(state, sentence, details, nextAt) {
    byId("state").dataset.state = state;
    setText(byId("state-word"), state.replaceAll("_", " "));
    setText(byId("sentence"), sentence);
    setText(byId("details"), details);
    byId("details").hidden = !details;
    this.nextAt = nextAt;
    this.showNext();
  }

  showNext() {
    const place = byId("next");
    place.hidden = this.nextAt === null;
    if (place.hidden) return;
    const left = this.nextAt - (Date.now() / 1000 + this.ahead);
    const when = left > 1 ? `in ${duration(left)}` : "now";
    place.replaceChildren("next attempt ", element("b", when));
    place.title = dates.format(new Date(this.nextAt * 1000));
  }

  showFigures(figures) {
    for (const place of document.querySelectorAll("[data-figure]")) {
      const value = figures[place.dataset.figure];
      if (value === null || value === undefined) setText(place, "–");
      else if (place.dataset.unit === "duration") setText(place, duration(value));
      else setText(place, numbers.format(value));
      if (place.dataset.figure === "dead") place.dataset.alarm = String(value > 0);
    }
  }

  showUnlisted(unlisted) {
    const place = byId("unlisted");
    place.hidden = !unlisted;
    setText(place, unlisted ? `${count(unlisted, "event")} of the last second more than are listed.` : "");
  }

  say(state, text) {
    byId("link").dataset.state = state;
    document.body.dataset.link = state; // what is shown may not be so any more
    setText(byId("link-text"), text);
  }
}

// Only where it differs: what is announced, or selected, is left alone.
export function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// Asks, and resolves to whether the answer is yes; the focus comes back to where it was.
export function ask(title, text, yes) {
  const dialog = byId("ask");
  setText(dialog.querySelector("button[value=yes]"), yes);
  setText(byId("ask-title"), title);
  setText(byId("ask-text"), text);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

export function done(text, isBad = false) {
  byId("done").dataset.bad = String(isBad);
  byId("done").textContent = text;
}
