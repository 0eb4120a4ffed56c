// Which view is shown, the theme, and the door.
import * as api from "./api.js";
import { JobPage, Start } from "./analyze.js";
import { button, el, relabel } from "../viewer/dom.js";
import { Live } from "./live.js";
import { Models } from "./models.js";
import { Observe } from "./observe.js";
import { Overview } from "./overview.js";

const main = document.getElementById("main");
let view = null, health = null;

function make(hash) {
  const [name, id] = hash.replace(/^#\/?/, "").split("/");
  if (name === "job" && id) return ["analyze", new JobPage(id), "Result"];
  if (name === "jobs" && id) return ["analyze", new Overview([...new Set(id.split(",").filter(Boolean))]), "Uploads"];
  if (name === "live") return ["live", new Live(health), "Live"];
  if (name === "observe") return ["observe", new Observe(), "Face and voice"];
  if (name === "models") return ["models", new Models(), "Models"];
  return ["analyze", new Start(health), "Analyze"];
}

function route(event) {
  view?.close();
  const [name, next, title] = make(location.hash);
  view = next;
  document.title = `${title} – emofuse`;
  main.replaceChildren(view.root);
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  if (!event) return; // on a visit of the page, focus stays where the browser puts it
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
}

// ---- light, dark, or as the system has it
const THEMES = { auto: ["auto", "Theme: as the system"], light: ["sun", "Theme: light"], dark: ["moon", "Theme: dark"] };
function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = name;
  relabel(document.getElementById("theme"), ...THEMES[name]);
  dispatchEvent(new Event("theme"));
}
function themes() {
  let now = localStorage.getItem("theme") ?? "auto";
  if (!Object.hasOwn(THEMES, now)) now = "auto";
  setTheme(now);
  document.getElementById("theme").onclick = () => {
    const names = Object.keys(THEMES);
    now = names[(names.indexOf(now) + 1) % names.length];
    localStorage.setItem("theme", now);
    setTheme(now);
  };
}

// ---- keys for the whole page, unless the user is writing or on a control that wants the key
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const { target } = event;
  if (target.closest("input:not([type=checkbox]), textarea, select") && event.key !== " ") return;
  if (event.key === " " && target.closest("button, input, textarea, select, a, summary")) return;
  if (view?.key(event)) event.preventDefault();
});

// ---- a server that asks for a token
function askToken() {
  const field = el("input", { type: "password", autocomplete: "current-password", required: true, id: "token" });
  const error = el("p", { class: "error", role: "alert" });
  const form = el("form", { class: "card door", onsubmit: async (event) => {
    event.preventDefault();
    error.textContent = "";
    try { await api.login(field.value); await begin(); } catch (problem) { error.textContent = problem.message; field.select(); }
  } }, el("h1", { textContent: "Enter your token for this server" }), el("label", { for: "token", textContent: "Token" }), field, error,
  el("button", { type: "submit", class: "primary", textContent: "Continue" }));
  main.replaceChildren(form);
  field.focus();
}

async function begin() {
  try { health = await api.health(); } catch (error) {
    main.replaceChildren(el("section", { class: "card none" }, el("p", { role: "alert", textContent: error.message }), button(null, "Try again", begin)));
    return;
  }
  document.getElementById("version").textContent = `emofuse ${health.version ?? ""}`;
  if (health.authorised === false) { askToken(); return; }
  document.getElementById("trouble")?.remove();
  const [trouble] = health.problems ?? [];
  if (trouble) {
    const said = `Results of jobs are late: ${trouble.message}.`;
    main.before(el("p", { id: "trouble", class: "error", role: "status", textContent: said }));
  }
  route();
}

themes();
addEventListener("hashchange", route);
begin();
