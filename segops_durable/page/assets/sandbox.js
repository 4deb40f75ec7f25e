// The page of the sandbox: what goes wrong is switched here, by the calls that curl has.

import { Lines, Page, ask, byId, done, element, lineItem } from "./page.js";

const FAULTS = "_sandbox/faults";
const PRESETS = [
  ["Half fail (503)", { status: 503, rate: 0.5 }],
  ["Down (503)", { status: 503 }],
  ["Slow (2 s)", { delay: 2 }],
  ["Busy (429)", { status: 429, retry_after: 10 }],
  ["Key refused (401)", { status: 401 }],
  ["Refused (400)", { status: 400, json: { detail: "Malformed user_id." } }],
  ["Reset before", { reset: "before" }],
  ["Reset after", { reset: "after" }],
  ["Captive portal", { portal: true }],
  ["1 kB limit (413)", { body_limit: 1000 }],
];
const WHOLE = new Set(["status", "times", "body_limit", "seed"]);
const NUMBERS = new Set([...WHOLE, "retry_after", "delay", "rate"]);

const form = byId("fault-form");
const requests = new Lines(byId("request-lines"), byId("no-requests"), lineItem, 50);
let isDirty = false; // somebody types: what is on now is not put over it

async function send(method, path, document) {
  try {
    const answer = await fetch(path, {
      method,
      headers: document === undefined ? {} : { "Content-Type": "application/json" },
      body: document === undefined ? undefined : JSON.stringify(document),
    });
    const found = await answer.json();
    if (answer.ok) return found;
    const [[field, problem]] = Object.entries(found);
    mark(field);
    done(`${field}: ${problem}`, true);
  } catch {
    done("There is no connection to the sandbox.", true);
  }
  return null;
}

function mark(field) {
  for (const each of form.elements) {
    if (each.name === field) each.setAttribute("aria-invalid", "true");
    else each.removeAttribute("aria-invalid");
  }
  if (field && form.elements[field]) form.elements[field].focus();
}

async function switchOn(faults) {
  const found = await send("POST", FAULTS, faults);
  if (!found) return;
  isDirty = false;
  mark("");
  done("");
  showFaults(found);
}

function showFaults(faults) {
  for (const button of byId("presets").children) {
    const preset = PRESETS[Number(button.dataset.preset)][1];
    button.setAttribute("aria-pressed", String(isOn(preset, faults)));
  }
  if (isDirty) return;
  for (const each of form.elements) {
    if (!each.name) continue;
    const value = faults[each.name];
    if (each.type === "checkbox") each.checked = value;
    else if (each.name === "json") each.value = value === null ? "" : JSON.stringify(value);
    else each.value = value === null || (each.name === "delay" && !value) || (each.name === "rate" && value === 1) ? "" : String(value);
  }
}

function isOn(preset, faults) {
  const nothing = { rate: 1, delay: 0, portal: false };
  return Object.entries(faults).every(([name, value]) => {
    const wanted = preset[name] ?? nothing[name] ?? null;
    return JSON.stringify(wanted) === JSON.stringify(value);
  });
}

// What was typed, as JSON; what is no number is sent as it is, for the sandbox to refuse in words.
function typed() {
  const faults = {};
  for (const each of form.elements) {
    const text = each.value?.trim();
    if (!each.name) continue;
    if (each.type === "checkbox") faults[each.name] = each.checked;
    else if (!text) continue;
    else if (NUMBERS.has(each.name) && Number.isFinite(Number(text))) faults[each.name] = Number(text);
    else if (each.name === "json") faults.json = JSON.parse(text);
    else faults[each.name] = text;
  }
  return faults;
}

PRESETS.forEach(([name, faults], index) => {
  const button = element("button", name);
  button.type = "button";
  button.dataset.preset = index;
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => switchOn(button.getAttribute("aria-pressed") === "true" ? {} : faults));
  byId("presets").append(button);
});
byId("clear").addEventListener("click", async () => {
  const found = await send("DELETE", FAULTS);
  if (!found) return;
  isDirty = false;
  mark("");
  done("All faults are off.");
  showFaults(found);
});
form.addEventListener("input", () => {
  isDirty = true;
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    switchOn(typed());
  } catch {
    mark("json");
    done("json: is no JSON", true);
  }
});
byId("plan").addEventListener("change", async () => {
  const settings = await send("GET", "_sandbox/settings");
  if (settings) await send("POST", "_sandbox/settings", { ...settings, plan: byId("plan").value });
});
byId("forget").addEventListener("click", async () => {
  if (await ask("Forget everything that was received?", "Events and requests are removed from the sandbox's store.", "Forget it")) {
    await send("POST", "_sandbox/reset", {});
  }
});

new Page({
  charts: [
    { title: "Events received a second", names: ["events a second"], first: 1, isArea: true },
    { title: "Requests not taken a second", names: ["requests a second that were not taken"], first: 2 },
  ],
  heed(told, isWhole) {
    if (isWhole) requests.forget();
    requests.add(told.requests);
    if (told.facts) {
      showFaults(told.facts.faults);
      if (document.activeElement !== byId("plan")) byId("plan").value = told.facts.plan;
    }
  },
});
