// Making elements. Text only ever becomes text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: on… are listeners, class, dataset and style are set, the rest are properties or attributes. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key === "dataset") Object.assign(node.dataset, value);
    else if (key === "style") for (const [name, v] of Object.entries(value)) node.style.setProperty(name, v);
    else if (key in node && key !== "list" && key !== "form") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Strokes in a box of 24 × 24.
const ICONS = {
  play: "M7 4.5v15l12-7.5z", pause: "M8 5v14M16 5v14", stop: "M6 6h12v12H6z",
  download: "M12 4v11m-5-5 5 5 5-5M5 20h14", trash: "M5 7h14M10 7V4h4v3m-7 0 1 13h8l1-13",
  upload: "M12 16V5m-5 5 5-5 5 5M5 20h14", close: "M6 6l12 12M18 6 6 18", plus: "M12 5v14M5 12h14", minus: "M5 12h14",
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 12 0M12 17v4",
  camera: "M4 7h11v10H4zM15 11l5-3v8l-5-3", video: "M4 5h16v14H4zM10 9v6l5-3z",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M9 9.5h.01", audio: "M4 10v4M8 6v12M12 3v18M16 7v10M20 10v4",
  text: "M5 6h14M5 10h14M5 14h10M5 18h7", sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M19 14.5A8 8 0 0 1 9.5 5a7.5 7.5 0 1 0 9.5 9.5z", auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5", record: "M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12z",
  sound: "M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11", muted: "M4 9v6h4l5 4V5L8 9zM17 9.5l5 5M22 9.5l-5 5",
  back: "M15 5l-7 7 7 7", next: "M9 5l7 7-7 7", boxes: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9 12h6", face: "M12 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM3.5 21c.6-5 4-7 8.5-7s7.9 2 8.5 7",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("glyph");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button; without text, `title` is its name. */
export function button(glyph, text, onclick, props = {}) {
  const { title, ...rest } = props;
  return el("button", { type: "button", onclick, title, "aria-label": text ? undefined : title, class: text ? "" : "icon", ...rest },
    glyph ? icon(glyph) : null, text ? el("span", { textContent: text }) : null);
}

/** Change a button's sign and name. */
export function relabel(node, glyph, title, text) {
  node.replaceChildren(icon(glyph), ...(text ? [el("span", { textContent: text })] : []));
  node.title = title;
  if (text) node.removeAttribute("aria-label"); else node.setAttribute("aria-label", title);
}

/** A switch: a checkbox with its text. */
export function toggle(text, checked, onchange, props = {}) {
  const box = el("input", { type: "checkbox", checked, onchange: () => onchange(box.checked), ...props });
  return el("label", { class: "toggle" }, box, el("span", { textContent: text }));
}

/** Say something in the corner (and to screen readers) for a moment. */
export function toast(text) {
  const node = el("p", { textContent: text });
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}

/** Let a user save what the page holds. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A canvas as sharp as the screen; calls draw(context, width, height) in CSS pixels. */
export function paint(canvas, draw) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  draw(context, width, height);
}

export function honest() {
  return el("p", { class: "honest" },
    el("strong", { textContent: "Expressions, not feelings. " }),
    "A program judges what a face, a voice and words look and sound like. It is often wrong, and what somebody truly feels it cannot know. Do not base decisions about people on it.");
}
