// The page of an outbox: its dead letters, and the token that they are behind.

import { Page, ask, byId, count, done, element, setText, timeElement } from "./page.js";

const KEY = "segops-durable-token";

// What no header can have is no token.
function keep(token) {
  const isOne = /^[\x20-\x7e]+$/.test(token);
  if (isOne) sessionStorage.setItem(KEY, token);
  byId("token-problem").hidden = isOne;
  if (!isOne) setText(byId("token-problem"), "That is no token.");
}

// Out of the address at once: an address is copied, kept and looked at over a shoulder.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  keep(given);
  history.replaceState(null, "", location.pathname + location.search);
}

function headers() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function showTrusted() {
  const isTrusted = sessionStorage.getItem(KEY) !== null;
  byId("trusted").hidden = !isTrusted;
  byId("token-form").hidden = isTrusted;
}

class Letters {
  constructor() {
    this.letters = new Map();
    this.items = new Map();
    this.total = 0;
    byId("retry-all").addEventListener("click", () => this.retryAll());
    byId("older").addEventListener("click", () => this.showOlder());
  }

  // The newest of them; those that were loaded beyond stay, unless they should be among these.
  take(letters) {
    const lowest = letters.length ? letters.at(-1).id : 0;
    for (const id of this.letters.keys()) if (id >= lowest) this.letters.delete(id);
    for (const letter of letters) this.letters.set(letter.id, letter);
    this.show();
  }

  setTotal(total) {
    this.total = total;
    byId("retry-all").hidden = !total;
    byId("older").hidden = this.letters.size >= total;
    byId("no-letters").hidden = total > 0;
  }

  show() {
    const list = byId("letter-lines");
    const focused = list.contains(document.activeElement) ? [...list.children].findIndex((each) => each.contains(document.activeElement)) : -1;
    for (const [id, known] of this.items) {
      if (JSON.stringify(this.letters.get(id)) !== known.text) {
        known.item.remove();
        this.items.delete(id);
      }
    }
    let before = list.firstElementChild;
    for (const id of [...this.letters.keys()].sort((a, b) => b - a)) {
      const known = this.items.get(id);
      if (known) {
        before = known.item.nextElementSibling;
        continue;
      }
      const item = this.item(this.letters.get(id));
      this.items.set(id, { item, text: JSON.stringify(this.letters.get(id)) });
      list.insertBefore(item, before);
    }
    if (focused >= 0 && !list.contains(document.activeElement)) this.focusNear(focused);
  }

  // What had the focus is gone: its neighbour has it now, and not the top of the page.
  focusNear(index) {
    const list = byId("letter-lines");
    const near = list.children[Math.min(index, list.children.length - 1)];
    (near?.querySelector("button") ?? byId("letters")).focus();
  }

  item(letter) {
    const item = element("li");
    const head = element("p", "", "letter-head");
    const cause = element("span", letter.cause.replaceAll("_", " "), "fate");
    cause.dataset.fate = "dead";
    const kind = element("b", letter.kind || "(no type)");
    head.append(cause, " ", kind, " ", element("span", letter.user, "user muted"), " ", timeElement(letter.died_at));
    const said = element("div", "", "said");
    said.append(element("p", letter.words));
    if (letter.answer && !letter.words.includes(letter.answer)) said.append(element("p", letter.answer, "muted"));
    const more = element("details");
    more.append(element("summary", "The event"), element("pre", letter.text || "(no payload)"));
    const tracked = element("p", "tracked ", "muted");
    const answered = letter.status ? `, answered ${letter.status}` : "";
    tracked.append(timeElement(letter.at), `${answered}, dead letter ${letter.id}`);
    more.append(tracked);
    const foot = element("div", "", "letter-foot");
    const row = element("p", "", "row");
    const name = `${letter.kind || "event"} of ${letter.user || "nobody"}, dead letter ${letter.id}`;
    if (letter.cause !== "damaged") row.append(this.button("Retry", name, () => this.retry(letter)));
    row.append(this.button("Discard", name, () => this.discard(letter), "danger"));
    foot.append(more, row);
    item.append(head, said, foot);
    return item;
  }

  button(text, name, act, className = "") {
    const made = element("button", text, className);
    made.type = "button";
    made.setAttribute("aria-label", `${text} ${name}`);
    made.addEventListener("click", act);
    return made;
  }

  async retry(letter) {
    const mayDouble = letter.cause === "skipped";
    if (mayDouble && !(await ask("Send this event again?", "SegOps may have accepted it already: then it is there twice.", "Send it"))) return;
    const found = await post("retry", { ids: [letter.id] });
    if (found) this.remove(letter.id, found.count ? "Put back into the queue; it is sent again." : "It is not there any more, or it is damaged.");
  }

  async discard(letter) {
    if (!(await ask("Discard this event?", `${letter.kind || "An event"} of ${letter.user || "nobody"} is removed for good.`, "Discard for good"))) return;
    const found = await post("discard", { ids: [letter.id] });
    if (found) this.remove(letter.id, found.count ? "Removed for good." : "It was not there any more.");
  }

  async retryAll() {
    const found = await post("retry", { ids: null });
    if (found) done(`${count(found.count, "event")} put back into the queue; what SegOps may have accepted stays.`);
  }

  remove(id, text) {
    done(text);
    this.letters.delete(id);
    this.show();
  }

  async showOlder() {
    const lowest = Math.min(...this.letters.keys());
    const answer = await fetch(`page/letters?before=${lowest}`, { headers: headers(), cache: "no-store" });
    if (!answer.ok) return done(`They could not be read: ${await detailOf(answer)}`, true);
    for (const letter of await answer.json()) this.letters.set(letter.id, letter);
    this.show();
    this.setTotal(this.total);
  }
}

async function post(what, document) {
  try {
    const answer = await fetch(`page/letters/${what}`, {
      method: "POST",
      headers: { ...headers(), "Content-Type": "application/json" },
      body: JSON.stringify(document),
    });
    if (answer.ok) return await answer.json();
    done(`That was refused: ${await detailOf(answer)}`, true);
  } catch {
    done("There is no connection; nothing was changed, as far as is known here.", true);
  }
  return null;
}

async function detailOf(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `status ${answer.status}`;
  }
}

takeToken();
showTrusted();
const letters = new Letters();
const page = new Page({
  charts: [
    { title: "Events that wait", names: ["waiting"], first: 1, isArea: true },
    { title: "Events a second", names: ["in, a second", "out, a second"], first: 2 },
  ],
  headers,
  refused() {
    sessionStorage.removeItem(KEY);
    byId("token-problem").hidden = false;
    setText(byId("token-problem"), "That token was not accepted.");
    showTrusted();
    page.open();
  },
  heed(told) {
    if (told.letters) letters.take(told.letters);
    letters.setTotal(told.figures.dead);
    for (const place of document.querySelectorAll("[data-fact]")) {
      if (told.facts) setText(place, told.facts[place.dataset.fact] ?? "");
    }
  },
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(byId("token").value.trim());
  byId("token").value = "";
  showTrusted();
  page.open();
  byId("events").focus();
});
window.addEventListener("hashchange", () => {
  takeToken();
  showTrusted();
  page.open();
});
